"""verify: look at a deployment from its books to its answers, and say what does not fit."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.observe import observe
from neuralshelf.provision.spaces import Space, read_spaces
from neuralshelf.provision.verify.check import Check, Verification
from neuralshelf.provision.verify.models import check_answers, check_deployed, check_ranker, node_names
from neuralshelf.provision.verify.searches import check_searches
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.provision.verify.vectors import check_documents_in, check_kept, check_queries
from neuralshelf.provision.verify.views import check_views
from neuralshelf.provision.verify.wiring import check_wiring

SAMPLE = 20


def verify(
    client: OpenSearch,
    deployment: Deployment,
    runtime: Runtime,
    *,
    sample: int = SAMPLE,
    tell: Callable[[Check], object] = lambda _: None,
) -> Verification:
    """Whether index, pipelines, templates and models agree on the vector space of every field. Sends no write.

    The books are read first. Models are asked only when all of them are deployed: a question would deploy them.

    Args:
        sample: documents whose text vectors are made again.
        tell: called after each check.

    Raises:
        ProvisionError: the cluster can't be asked.
    """
    made = deployment.resources(runtime)
    try:
        live = observe(client, made, prefix=deployment.prefix).live
        spaces, unreadable = _spaces(client, deployment.config.index.physical_name)
    except TransportError as fault:
        raise ProvisionError(_refused(fault), hint="neuralshelf doctor") from None
    subject = Subject(client, deployment, {resource.address: resource for resource in made}, live, spaces)
    checks = []
    for check in [*unreadable, *_checks(subject, sample)]:
        checks.append(check)
        tell(check)
    return Verification(deployment.config.index.physical_name, tuple(checks))


def _checks(subject: Subject, sample: int) -> Iterator[Check]:
    of = subject.index_address
    wired = True
    for wiring in _answered("wiring", of, lambda: check_wiring(subject)):
        wired = wired and wiring.ok is not False
        yield wiring
    if wired:
        yield from check_searches(subject)
    if of in subject.live:
        yield from _answered("views", of, lambda: check_views(subject))

    workers: dict[str, tuple[str, ...]] = {}
    names = node_names(subject.client)
    for model in subject.models:
        check, workers[model.address] = check_deployed(subject, model, names)
        yield check
    if not all(workers.values()):
        yield Check("model-answers", of, None, "not asked: a question would deploy the models that are not deployed")
        return
    for model in subject.models:
        yield check_answers(subject, model, workers[model.address], names)
    yield from check_ranker(subject)
    if of in subject.live:
        yield from _answered("document-to-vector", of, lambda: check_documents_in(subject))
        yield from _answered("query-to-vector", of, lambda: check_queries(subject))
        yield from _answered("kept-vectors", of, lambda: check_kept(subject, sample))


def _spaces(client: OpenSearch, index: str) -> tuple[Mapping[str, Space], tuple[Check, ...]]:
    try:
        return read_spaces(client, index), ()
    except ProvisionError as fault:
        return {}, (Check("space", f"index/{index}", False, fault.message, fault.hint),)


def _answered(name: str, of: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of one part; a question that the cluster refuses ends the part, not the verification."""
    try:
        yield from look()
    except TransportError as fault:
        right = fault.status_code == 403
        hint = "this login lacks a right: neuralshelf roles renders the role" if right else "neuralshelf doctor"
        yield Check(name, of, False, _refused(fault), hint)


def _refused(fault: TransportError) -> str:
    return f"the cluster refuses a question ({fault.status_code}): {reason(fault)}"
