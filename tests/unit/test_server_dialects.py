"""Every refusal has words in every dialect, and the words are errors that the service's SDK knows."""

import botocore.session
import pytest

from neuralshelf.model_packages.server.dialects import Bedrock, Container, Dialect, SageMaker
from neuralshelf.model_packages.server.refusals import Refusal, SignatureRefused

COMMON = {
    # Codes of Signature Version 4, of throttling and of the front end are not in the service models.
    "InvalidSignatureException",
    "ThrottlingException",
    "RequestTimeoutException",
}
KINDS = [kind for kind in Refusal.__subclasses__() if kind.__module__ == Refusal.__module__]
REFUSALS = [kind("why") for kind in KINDS if kind is not SignatureRefused]
REFUSALS.append(SignatureRefused("InvalidSignatureException", "why"))


def modelled(service: str, operation: str) -> dict[str, int]:
    """Error codes and statuses the SDK's own service model lists for an operation."""
    shapes = botocore.session.get_session().get_service_model(service).operation_model(operation).error_shapes
    return {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in shapes}


@pytest.mark.parametrize("refusal", [*REFUSALS, None], ids=lambda refusal: type(refusal).__name__)
@pytest.mark.parametrize(
    ("dialect", "service", "operation"),
    [(SageMaker(), "sagemaker-runtime", "InvokeEndpoint"), (Bedrock(), "bedrock-runtime", "InvokeModel")],
    ids=["sagemaker", "bedrock"],
)
def test_a_refusal_is_an_error_of_the_services_own_model(
    dialect: Dialect, service: str, operation: str, refusal: Refusal | None
) -> None:
    said = dialect.say(refusal)
    known = modelled(service, operation)
    assert said.code in known or said.code in COMMON
    assert 400 <= said.status < 600
    if said.code in known and said.status not in (413, 415):  # the front end's own statuses
        assert said.status == known[said.code]
    assert said.body.get("message") or said.body.get("Message")


@pytest.mark.parametrize("refusal", [*REFUSALS, None], ids=lambda refusal: type(refusal).__name__)
def test_the_container_names_the_cause(refusal: Refusal | None) -> None:
    said = Container().say(refusal)
    assert said.body["code"] == (type(refusal).__name__ if refusal else "InternalFailure")
    assert said.body["message"]


def test_sagemaker_wraps_what_its_container_answered() -> None:
    for refusal in REFUSALS:
        said = SageMaker().say(refusal)
        if said.code == "ModelError":
            assert said.body["OriginalStatusCode"] == Container().say(refusal).status
            assert said.body["OriginalMessage"] == "why"
