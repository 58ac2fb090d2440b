"""The SageMaker model behind an endpoint: a transform job runs that very model, so vectors are the endpoint's."""

from typing import Any

from neuralshelf.deploy.batch.calls import asking
from neuralshelf.errors import ConfigError


def deployed_model(sagemaker: Any, endpoint: str) -> str:
    """Name of the model that an endpoint serves (DescribeEndpoint, DescribeEndpointConfig, DescribeModel).

    Args:
        sagemaker: a client of boto3.

    Raises:
        ConfigError: no such endpoint, several models behind it, or one that no transform job can run.
        ServerError: SageMaker refuses or can't be reached.
    """
    from botocore.exceptions import ClientError

    with asking(f"endpoint {endpoint}"):
        try:
            config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        except ClientError as fault:
            if not absent(fault):
                raise
            hint = "neuralshelf deploy, or correct endpoint of the connector"
            raise ConfigError(
                f"endpoint {endpoint} does not exist in {sagemaker.meta.region_name}", hint=hint
            ) from None
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        models = sorted({variant["ModelName"] for variant in variants})
        if len(models) != 1:
            raise ConfigError(
                f"endpoint {endpoint} serves {len(models)} models ({', '.join(models)}): their vectors would be mixed",
                hint="give it one model",
            )
        model = sagemaker.describe_model(ModelName=models[0])
    container = model.get("PrimaryContainer") or next(iter(model.get("Containers") or [{}]))
    if container.get("Mode") == "MultiModel":
        raise ConfigError(
            f"endpoint {endpoint} is a multi-model endpoint: a transform job can't say which of its models is meant",
            hint="give this connector an endpoint with one model, or use neuralshelf ingest",
        )
    return str(models[0])


def absent(fault: Any) -> bool:
    """Whether a ClientError says that the thing does not exist: SageMaker calls that a ValidationException."""
    said = fault.response.get("Error", {})
    return said.get("Code") in ("ValidationException", "ResourceNotFound") and (
        str(said.get("Message", "")).lower().startswith("could not find")
    )
