"""The policies on AWS, rendered: who may take on which role, and the least that each needs."""

import json
import re
from pathlib import Path
from typing import Any

from neuralshelf.connectors.policy import iam_policy
from neuralshelf.connectors.spec import BedrockTitanMultimodal
from neuralshelf.deploy.image import repository_arn
from neuralshelf.deploy.names import STEM, Names, digest
from neuralshelf.deployment import Deployment
from neuralshelf.files import write_files
from neuralshelf.hosting import Hosting
from neuralshelf.templates import render

Json = Any

_DOMAIN = re.compile(r"^https://(?:search|vpc)-([a-z][a-z0-9-]{2,27})-[a-z0-9]{26}\.")


def domain(deployment: Deployment) -> str:
    """Name of the Amazon OpenSearch Service domain, as its own address says it; `*` where another address stands."""
    found = _DOMAIN.match(deployment.environment.cluster.url or "")
    return found[1] if found else "*"


def foundation_models(deployment: Deployment, names: Names) -> list[str]:
    """ARNs of the Bedrock models that connectors call."""
    specs = [spec for spec in deployment.config.connectors.values() if isinstance(spec, BedrockTitanMultimodal)]
    if not specs:
        return []
    (statement,) = iam_policy(specs, region=names.region, account=names.account)["Statement"]
    return list(statement["Resource"])


def policies(deployment: Deployment, hosting: Hosting, names: Names, images: list[str]) -> dict[str, Json]:
    """Name of a policy -> its document.

    `opensearch-invoke` and `endpoint-execution` are roles, so each has a `-trust`; `deployer` is for who runs deploy,
    undeploy, preflight, batch and personalize; `ingest` for who writes and searches. Where a campaign of ours ranks,
    `personalize-import` is a role, too.

    Args:
        images: of the containers, which the endpoints pull.
    """
    account = {"partition": names.partition, "region": names.region, "account": names.account}
    s3 = f"arn:{names.partition}:s3:::"
    models = [model for endpoint in hosting.endpoints.values() for model in endpoint.archives.values()]
    artefacts = sorted({s3 + model.removeprefix("s3://") for model in models if model.startswith("s3://")})
    place = {"bucket": hosting.bucket, "places": list(names.places), "artefacts": artefacts}
    invoke = deployment.environment.uses_deployed_role
    specs, ranking = deployment.config.connectors.values(), deployment.config.ranking
    campaign = ranking.campaign if ranking is not None and ranking.is_named else None
    roles = [names.execution_role, names.invoke_role, *([names.personalize_role] if campaign else [])]
    found = {
        "opensearch-invoke-trust": render("iam/opensearch-invoke-trust.json.j2", **account, domain=domain(deployment)),
        "opensearch-invoke": iam_policy(specs, region=names.region, account=names.account, ranking=ranking),
        "endpoint-execution-trust": render("iam/endpoint-execution-trust.json.j2", **account),
        "endpoint-execution": render(
            "iam/endpoint-execution.json.j2",
            **account,
            **place,
            repositories=sorted({arn for image in images if (arn := repository_arn(image, names.partition))}),
        ),
        "deployer": render(
            "iam/deployer.json.j2",
            **account,
            **place,
            stem=names.stem,
            job=names.prefix[:STEM],
            roles=[names.role_arn(role) for role in roles],
            campaign=campaign,
            personalize_role=names.role_arn(names.personalize_role),
            execution_role=execution_role(hosting, names),
            invoke_role=names.role_arn(names.invoke_role) if invoke else None,
            endpoints=list(hosting.endpoints),
            foundation_models=foundation_models(deployment, names),
        ),
        "ingest": render("iam/ingest.json.j2", **account, **place, domain=domain(deployment)),
    }
    if campaign:
        found["personalize-import-trust"] = render("iam/personalize-import-trust.json.j2", **account)
        found["personalize-import"] = render("iam/personalize-import.json.j2", **account, **place)
    return found


def bucket_statements(names: Names, bucket: str) -> list[Json]:
    """What the bucket's own policy must say, so that Amazon Personalize may read."""
    found: list[Json] = render(
        "iam/personalize-bucket.json.j2",
        partition=names.partition,
        region=names.region,
        account=names.account,
        bucket=bucket,
        places=list(names.places),
        mark=digest(names.prefix),
    )
    return found


def execution_role(hosting: Hosting, names: Names) -> str:
    """ARN of the role of the containers."""
    return hosting.role_arn or names.role_arn(names.execution_role)


def write_policies(found: dict[str, Json], folder: Path) -> list[Path]:
    """One file `NAME.json` a policy in `folder`, which is made if needed; a file that is there is replaced.

    Raises:
        InputError: the folder can't be written.
    """
    texts = {f"{name}.json": json.dumps(body, indent=2) + "\n" for name, body in found.items()}
    return write_files(texts, folder)
