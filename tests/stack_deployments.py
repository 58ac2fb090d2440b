"""Deployments of `golden/stacks/deployments.yaml`, for tests of stacks and of their policies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuralshelf import yamlfile
from neuralshelf.deployment import Config, Deployment
from neuralshelf.settings import Environment

GOLDEN = Path(__file__).parent / "golden" / "stacks"
SAMPLE = Path(__file__).parents[1] / "neuralshelf.yaml"
TITAN = {"picture": {"kind": "bedrock-titan-multimodal"}}
INVOKE_ROLE = "arn:aws:iam::123456789012:role/opensearch-invokes-models"


def deployment(values: Mapping[str, Any], **changed: Any) -> Deployment:
    """The sample shop in a region, its models hosted as `hosting` says; without one they are Titan's."""
    config = yamlfile.load(SAMPLE) | changed
    if "hosting" not in values:
        vectors = {"image_vector": {"connector": "picture", "image": "image", "text": ["title"]}}
        config["connectors"] = TITAN
        config["index"] = config["index"] | {"vectors": vectors}
        config["search"] = config["search"] | {"weights": {"keyword": 0.5, "image_vector": 0.5}}
    environment = {
        "name": "aws",
        "cluster": {"provider": "url", "url": "https://a.b", "auth": "sigv4", "region": values["region"]},
        "runtime": {"provider": "aws", "region": values["region"], "role_arn": INVOKE_ROLE},
        "store": {"engine": "faiss", "replicas": 1},
    }
    if "hosting" in values:
        environment["hosting"] = values["hosting"]
    return Deployment(Config.parse(config, "neuralshelf.yaml"), Environment.parse(environment, "aws.yaml"))


def deployments() -> dict[str, Deployment]:
    """Name -> deployment."""
    found = yamlfile.load(GOLDEN / "deployments.yaml")
    return {name: deployment(values, **values.get("config", {})) for name, values in found.items()}
