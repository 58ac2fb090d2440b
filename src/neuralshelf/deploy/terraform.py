"""What the stacks hold, for who uses Terraform: the same policies as JSON, the rest as values of a variable."""

import json
from typing import Any

from neuralshelf.connectors.policy import trusted_endpoints
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deploy.stacks import ACCOUNT, DOMAIN, ENGINE, FULL, INVOKE_ROLE, StackEndpoint, Stacks, known

Json = Any

WORDS = {ACCOUNT: "${account_id}", DOMAIN: "${domain_name}", INVOKE_ROLE: "${invoke_role_arn}"}
"""Variables of `templatefile`."""

VARIABLES = "neuralshelf.auto.tfvars.json"


def terraform_files(stacks: Stacks) -> dict[str, str]:
    """File name -> text: `policies/NAME.json` for `templatefile`, and the values of one variable called `neuralshelf`.

    Raises:
        ConfigError: as `Stacks.texts`.
    """
    found = {f"policies/{name}.json": _policy(document) for name, document in stacks.policies().items()}
    return found | {VARIABLES: _json({"neuralshelf": _values(stacks)})}


def _values(stacks: Stacks) -> dict[str, Json]:
    names, hosting, runtime = stacks.names, stacks.hosting, stacks.deployment.environment.runtime
    statements = stacks.policies()["opensearch-invoke"]["Statement"]
    bedrock = [each["Resource"] for each in statements if each["Action"] == "bedrock:InvokeModel"]
    return {
        "project": names.project,
        "environment": names.environment,
        "prefix": names.prefix,
        "tags": names.tags(),
        "region": names.region,
        "domain": {"name": stacks.domain_name, "region": stacks.region, "engine_version": ENGINE} | vars(FULL),
        "bucket": hosting.bucket if hosting else None,
        "execution_role_arn": hosting.role_arn if hosting else None,
        "endpoints": {each.name: _endpoint(stacks, each) for each in stacks.endpoints()},
        "bedrock_models": [arn for arns in bedrock for arn in arns],
        "trusted_connector_endpoints_regex": trusted_endpoints(
            Runtime(runtime.region, url=runtime.url), personalize=stacks.deployment.config.ranking is not None
        ),
    }


def _endpoint(stacks: Stacks, endpoint: StackEndpoint) -> Json:
    container, (variant,) = endpoint.model["PrimaryContainer"], endpoint.config["ProductionVariants"]
    serverless = variant.get("ServerlessConfig", {})
    return {
        # Terraform knows the account, a file of variables doesn't
        "arn_pattern": known(stacks.names.sagemaker_arn("endpoint", endpoint.name), {ACCOUNT: "*"}),
        "image": container["Image"],
        "mode": container["Mode"],
        "model_data_url": endpoint.data,
        "environment": container["Environment"],
        "variant_name": variant["VariantName"],
        "instance_type": variant.get("InstanceType"),
        "initial_instance_count": variant.get("InitialInstanceCount"),
        "memory_size_in_mb": serverless.get("MemorySizeInMB"),
        "max_concurrency": serverless.get("MaxConcurrency"),
    }


def _policy(document: Json) -> str:
    """`templatefile` reads `$${` and `%%{` as they are without the first character."""
    return known(_json(document).replace("${", "$${").replace("%{", "%%{"), WORDS)


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
