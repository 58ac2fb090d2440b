"""What may be called: the endpoints a cluster trusts, and the least an IAM role needs."""

import re
from collections.abc import Iterable
from typing import Any

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec
from neuralshelf.templates import render

DEFAULT_ENDPOINTS = (
    r"^https://runtime\.sagemaker\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://api\.sagemaker\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://api\.openai\.com/.*$",
    r"^https://api\.cohere\.ai/.*$",
    r"^https://api\.deepseek\.com/.*$",
    r"^https://generativelanguage\.googleapis\.com/.*$",
    r"^https://bedrock-runtime\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://bedrock-agent-runtime\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://bedrock\..*[a-z0-9-]\.amazonaws\.com/.*$",
    r"^https://textract\..*[a-z0-9-]\.amazonaws\.com$",
    r"^https://comprehend\..*[a-z0-9-]\.amazonaws\.com$",
    r"^https://rekognition(-fips)?\..*[a-z0-9-]\.amazonaws\.com$",
)
"""What ML Commons 3.6.0 trusts unasked. Setting the list replaces it, which would cut off connectors of others."""


def trusted_endpoints(runtime: Runtime) -> list[str]:
    """Patterns for `trusted_connector_endpoints_regex`; none for AWS, which a cluster trusts as it is.

    For a server of our own its address is added to what a cluster trusts by default. The port is left open, since a
    restart may take another.
    """
    if runtime.url is None:
        return []
    origin = re.sub(r":\d+$", "", runtime.url.rstrip("/"))
    return [f"^{re.escape(origin)}(:[0-9]+)?/.*$", *DEFAULT_ENDPOINTS]


def iam_policy(specs: Iterable[ConnectorSpec], *, region: str, account: str) -> Any:
    """IAM policy document that allows invoking exactly the endpoints and models of `specs`.

    Args:
        account: the twelve digits of the account that the SageMaker endpoints are in.
    """
    partition = "aws-us-gov" if region.startswith("us-gov-") else "aws"
    allowed: dict[str, set[str]] = {}
    for spec in specs:
        if isinstance(spec, BedrockTitanMultimodal):
            ours = spec.model_id.startswith("arn:")
            arn = spec.model_id if ours else f"arn:{partition}:bedrock:{region}::foundation-model/{spec.model_id}"
            allowed.setdefault("bedrock:InvokeModel", set()).add(arn)
        else:
            arn = f"arn:{partition}:sagemaker:{region}:{account}:endpoint/{spec.endpoint.lower()}"
            allowed.setdefault("sagemaker:InvokeEndpoint", set()).add(arn)
    sorted_lists = {action: sorted(resources) for action, resources in sorted(allowed.items())}
    return render("connectors/iam-policy.json.j2", allowed=sorted_lists)
