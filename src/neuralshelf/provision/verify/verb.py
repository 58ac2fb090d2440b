"""verify: look at a deployment from its books to its answers, and say what does not fit."""

from collections.abc import Callable, Iterator

from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.errors import ProvisionError
from neuralshelf.provision.deployment import Deployment
from neuralshelf.provision.observe import observe
from neuralshelf.provision.spaces import read_spaces
from neuralshelf.provision.verify.check import Check, Verification
from neuralshelf.provision.verify.models import check_answers, check_deployed, node_names
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.provision.verify.vectors import check_documents_in, check_kept, check_queries
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
    checks = []
    try:
        for check in _checks(client, deployment, runtime, sample):
            checks.append(check)
            tell(check)
    except TransportError as fault:
        raise ProvisionError(
            f"the cluster refuses a question ({fault.status_code}): {reason(fault)}", hint="neuralshelf doctor"
        ) from None
    return Verification(deployment.config.index.physical_name, tuple(checks))


def _checks(client: OpenSearch, deployment: Deployment, runtime: Runtime, sample: int) -> Iterator[Check]:
    desired = deployment.resources(runtime)
    index = deployment.config.index.physical_name
    try:
        spaces = read_spaces(client, index)
    except ProvisionError as fault:
        spaces = {}
        yield Check("space", f"index/{index}", False, fault.message, fault.hint)
    live = observe(client, desired, prefix=deployment.prefix).live
    subject = Subject(client, deployment, {resource.address: resource for resource in desired}, live, spaces)
    yield from check_wiring(subject)

    names = node_names(client)
    deployed = [check_deployed(subject, model, names) for model in subject.models]
    yield from (check for check, _ in deployed)
    if not all(check.ok for check, _ in deployed):
        yield Check("answers", f"index/{index}", None, "not asked: a question would deploy models that are not")
        return
    for model, (_, workers) in zip(subject.models, deployed, strict=True):
        yield check_answers(subject, model, workers, names)
    if subject.index_address not in live:
        return
    yield from check_documents_in(subject)
    documents = int(client.count(index=index)["count"])
    yield from check_queries(subject, documents)
    if documents:
        yield check_kept(subject, sample)
