"""Whether the searches that the stored templates make mean what they say (`neuralshelf.checker`)."""

from collections.abc import Iterator

from neuralshelf.checker import Grade, check
from neuralshelf.checker.examples import examples
from neuralshelf.checker.facts import Facts
from neuralshelf.checker.live import read_facts, rendered
from neuralshelf.errors import NeuralshelfError
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.resource import Json, Kind


def check_searches(subject: Subject) -> Iterator[Check]:
    """Each template with every kind of parameters, held against what the cluster has."""
    deployment = subject.deployment
    config = deployment.config
    for resource in subject.desired.values():
        if resource.kind is not Kind.SEARCH_TEMPLATE:
            continue
        try:
            facts = read_facts(subject.client, config.index.name, deployment.facts)
            chosen = list(examples(config.index, config.search))
            faults = [fault for params in chosen if (fault := _fault(subject, resource.name, params, facts))]
        except NeuralshelfError as fault:
            # a login without the right to render templates may search all the same
            yield Check("search", resource.address, None, f"not looked at: {fault}")
            continue
        found = faults[0] if faults else f"{len(chosen)} kinds of searches are right"
        yield Check(
            "search", resource.address, not faults, found, "neuralshelf check-query --template" if faults else ""
        )


def _fault(subject: Subject, template: str, params: Json, facts: Facts) -> str:
    """What is not right about the search that these parameters make; nothing when all is."""
    verdict = check(facts, rendered(subject.client, template, params))
    if verdict.word == "correct":
        return ""
    worst = next(finding for finding in verdict.findings if finding.grade is not Grade.NOTE)
    return f"with {', '.join(params) or 'no parameters'}: {worst.path or 'search'}: {worst.reason}"
