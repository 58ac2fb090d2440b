"""What moto lacks and AWS has, added to moto's own classes: UpdateEndpoint, tags that come with a bucket, the quotas of
SageMaker, the foundation models of Bedrock, most of Personalize. Shapes are those of botocore's service models, which
parses them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

from moto.bedrock.exceptions import ResourceNotFoundException
from moto.bedrock.responses import BedrockResponse
from moto.core.responses import ActionResult
from moto.personalize.responses import PersonalizeResponse
from moto.s3.responses import S3Response
from moto.sagemaker.responses import SageMakerResponse
from moto.servicequotas.responses import ServiceQuotasResponse

from tests.aws.personalize import PERSONALIZE, methods

QUOTAS = {
    "ml.m5.large for endpoint usage": 4.0,
    "Maximum total concurrency that can be allocated across all serverless endpoints": 10.0,
}
TITAN = "amazon.titan-embed-image-v1"
MODEL: dict[str, Any] = {"lifecycle": "ACTIVE", "entitlement": "AVAILABLE"}
"""The state of Titan; a test may change it."""

_put_bucket = S3Response._bucket_response_put


def _update_endpoint(self: Any) -> ActionResult:
    backend = self.sagemaker_backend
    endpoint, config = backend.endpoints[self._get_param("EndpointName")], self._get_param("EndpointConfigName")
    backend.describe_endpoint_config(config)
    endpoint.endpoint_config_name = config
    return ActionResult({"EndpointArn": endpoint.arn})


def _bucket_response_put(self: Any, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
    body = self.body
    answer = _put_bucket(self, request, bucket_name, querystring)
    if not querystring and body:
        pairs = [[part.text or "" for part in tag] for tag in ElementTree.fromstring(body).iterfind(".//{*}Tag")]
        self.backend.put_bucket_tagging(bucket_name, dict(pairs))
    return answer


def _quotas(self: Any) -> str:
    return json.dumps({"Quotas": [{"QuotaName": name, "Value": value} for name, value in QUOTAS.items()]})


def _foundation_model(self: Any) -> str:
    if TITAN not in self.path:
        raise ResourceNotFoundException("no such model")
    details = {"modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{TITAN}", "modelId": TITAN}
    return json.dumps({"modelDetails": details | {"modelLifecycle": {"status": MODEL["lifecycle"]}}})


def _foundation_model_availability(self: Any) -> str:
    known = {"authorizationStatus": "AUTHORIZED", "regionAvailability": "AVAILABLE", "modelId": TITAN}
    agreement = {"agreementAvailability": {"status": "AVAILABLE"}}
    return json.dumps(known | agreement | {"entitlementAvailability": MODEL["entitlement"]})


@contextmanager
def filled() -> Iterator[None]:
    """moto with what it lacks."""
    added: list[tuple[type, str, Any]] = [
        (SageMakerResponse, "update_endpoint", _update_endpoint),
        (S3Response, "_bucket_response_put", _bucket_response_put),
        (ServiceQuotasResponse, "list_service_quotas", _quotas),
        (ServiceQuotasResponse, "list_aws_default_service_quotas", _quotas),
        (BedrockResponse, "get_foundation_model", _foundation_model),
        (BedrockResponse, "get_foundation_model_availability", _foundation_model_availability),
        *((PersonalizeResponse, name, method) for name, method in methods().items()),
    ]
    PERSONALIZE.clear()
    with ExitStack() as stack:
        for owner, name, method in added:
            stack.enter_context(patch.object(owner, name, method, create=True))
        yield
