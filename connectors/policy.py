"""What may be called: the endpoints a cluster trusts, and the least an IAM role needs."""

import re
from collections.abc import Iterable
from typing import Any

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ConnectorSpec
from neuralshelf.templates import render

# Setting the list replaces OpenSearch's own, so the AWS hosts are always kept.
AWS_ENDPOINTS = (
    r"^https://runtime\.sagemaker\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://bedrock-runtime\..*[a-z0-9-]\.amazonaws\.com/.*$",
)


def trusted_endpoints(runtime: Runtime) -> list[str]:
    """Patterns for `trusted_connector_endpoints_regex`: AWS, and the one server of our own if there is one.

    The port is left open there, since a restart may take another.
    """
    if runtime.url is None:
        return list(AWS_ENDPOINTS)
    origin = re.sub(r":\d+$", "", runtime.url)
    return [f"^{re.escape(origin)}(:[0-9]+)?/.*$", *AWS_ENDPOINTS]


def iam_policy(specs: Iterable[ConnectorSpec], *, region: str, account: str) -> Any:
    """IAM policy document that allows invoking exactly the endpoints and models of `specs`."""
    found = list(specs)
    return render(
        "connectors/iam-policy.json.j2",
        endpoints=sorted({s.endpoint for s in found if s.kind != "bedrock-titan-multimodal"}),
        models=sorted({s.model_id for s in found if s.kind == "bedrock-titan-multimodal"}),
        region=region,
        account=account,
    )
