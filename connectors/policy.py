"""What may be called: the endpoints a cluster trusts, and the least an IAM role needs."""

import re
from collections.abc import Iterable
from typing import Any

from neuralshelf.connectors.ranking import RankingSpec, named_campaign
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec
from neuralshelf.templates import render


def trusted_endpoints(runtime: Runtime, *, personalize: bool = False) -> list[str]:
    """Patterns that `trusted_connector_endpoints_regex` must have, besides those that a cluster trusts unasked.

    Of AWS it trusts SageMaker and Bedrock, not Personalize; of a server of our own this is its address. The port is
    left open, since a restart may take another.
    """
    if runtime.url is None:
        return [f"^{re.escape(runtime.base_url('personalize'))}/.*$"] if personalize else []
    origin = re.sub(r":\d+$", "", runtime.url.rstrip("/"))
    return [f"^{re.escape(origin)}(:[0-9]+)?/.*$"]


def iam_policy(specs: Iterable[ConnectorSpec], *, region: str, account: str, ranking: RankingSpec | None = None) -> Any:
    """IAM policy document that allows invoking exactly the endpoints and models of `specs`, and `ranking`'s campaign.

    Args:
        account: the twelve digits of the account that the SageMaker endpoints are in, and a campaign without an ARN.
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
            if spec.batch:
                jobs = f"arn:{partition}:sagemaker:{region}:{account}:transform-job/*"
                allowed.setdefault("sagemaker:CreateTransformJob", set()).add(jobs)
                allowed.setdefault("sagemaker:DescribeTransformJob", set()).add(jobs)
    if ranking is not None:
        named = named_campaign(ranking.campaign, region=region, account=account)
        allowed["personalize:GetPersonalizedRanking"] = {named if ranking.is_named else ranking.campaign}
    sorted_lists = {action: sorted(resources) for action, resources in sorted(allowed.items())}
    return render("connectors/iam-policy.json.j2", allowed=sorted_lists)
