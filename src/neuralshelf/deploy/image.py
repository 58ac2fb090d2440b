"""Which container serves a package: AWS's PyTorch inference image, unless `image` says another one."""

import importlib.util
from typing import Any

from neuralshelf.errors import ConfigError

ACCOUNT = "763104351884"
REGIONS = (
    "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 "
    "eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
)
OTHERS = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "me-west-1": "124382933778",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
"""Registries of the AWS Deep Learning Containers (sagemaker-core 2.27, image_uri_config/pytorch.json, 2.6.0)."""

PYTORCH, PYTHON = "2.6.0", "3.12"
"""For a package whose manifest does not say."""


def image_uri(region: str, instance_type: str | None, framework: dict[str, str]) -> str:
    """AWS's PyTorch inference image.

    As the `sagemaker` SDK looks it up where that is installed (extra `deploy`), which knows all regions; else
    `ACCOUNT.dkr.ecr.REGION.amazonaws.com/pytorch-inference:VERSION-cpu-py312`, or `-gpu-` for instances with one.

    Args:
        instance_type: such as `ml.c6i.xlarge`; None is serverless, which has no GPU.
        framework: `pytorch` and `python` of the package's manifest.

    Raises:
        ConfigError: nobody knows the image; write it down as `image`.
    """
    version, python = framework.get("pytorch", PYTORCH), framework.get("python", PYTHON)
    py = "py" + "".join(python.split(".")[:2])
    known = _from_sdk(region, version, py, instance_type or "ml.m5.xlarge")
    if known is not None:
        return known
    account = ACCOUNT if region in REGIONS.split() else OTHERS.get(region)
    if account is None:
        hint = "pip install 'neuralshelf[deploy]', or write the endpoint's image down"
        raise ConfigError(f"the registry of AWS's PyTorch images in {region} is not known here", hint=hint)
    processor = "gpu" if instance_type and instance_type.startswith(("ml.g", "ml.p")) else "cpu"
    return f"{account}.dkr.ecr.{region}.amazonaws.com/pytorch-inference:{version}-{processor}-{py}"


def repository_arn(image: str, partition: str) -> str | None:
    """ARN of the ECR repository of an image; None when it is not in ECR."""
    host, _, path = image.partition("/")
    parts = host.split(".")
    if len(parts) < 5 or parts[1:3] != ["dkr", "ecr"]:
        return None
    return f"arn:{partition}:ecr:{parts[3]}:{parts[0]}:repository/{path.split('@')[0].split(':')[0]}"


def _from_sdk(region: str, version: str, python: str, instance_type: str) -> str | None:
    if importlib.util.find_spec("sagemaker") is None:
        return None
    try:
        from sagemaker import image_uris  # heavy: here only, where somebody has chosen to install it
    except ImportError:
        from sagemaker.core import image_uris  # since 3.0
    words: dict[str, Any] = {"region": region, "version": version, "py_version": python, "image_scope": "inference"}
    try:
        return str(image_uris.retrieve("pytorch", instance_type=instance_type, **words))
    except ValueError as fault:  # an unknown version or region
        raise ConfigError(f"image of PyTorch {version}: {fault}", hint="write the endpoint's image down") from None
