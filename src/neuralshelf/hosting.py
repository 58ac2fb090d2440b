"""How models are hosted on SageMaker, as an environment's section `hosting` says it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from neuralshelf.frozen import Frozen

ENDPOINT = r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$"  # SageMaker's own rule for endpoint names
BUCKET = r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"
INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
"""What a serverless endpoint may have (Amazon SageMaker AI developer guide, "Serverless Inference")."""


Package = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
"""A folder of `model_packages/`."""


class Batching(Frozen):
    """TorchServe's dynamic batching: requests wait up to `delay_ms` until `size` of them are there."""

    size: int = Field(default=1, ge=1, le=256)
    delay_ms: int = Field(default=20, ge=1, le=10_000)


class EndpointHosting(Frozen):
    """One endpoint, the one that connectors name.

    Attributes:
        package: model package behind it (a folder of `model_packages/`).
        model: its `model.tar.gz`, as `neuralshelf package` made it: a path beside neuralshelf.yaml, or `s3://…`.
        mode: `real-time` and `multi-model` run on instances, `serverless` by the request.
        targets: further archives behind a multi-model endpoint, package -> path. A connector names one of them as its
            `target_model`, `PACKAGE.tar.gz`.
        workers: processes that each hold the model.
        image: container image; None is AWS's PyTorch inference image for the region.
    """

    package: Package
    model: str = Field(min_length=1)
    mode: Literal["real-time", "serverless", "multi-model"] = "real-time"
    instance_type: str = Field(default="ml.c6i.xlarge", pattern=INSTANCE)
    instances: int = Field(default=1, ge=1, le=100)
    memory_mb: int = 6144
    max_concurrency: int = Field(default=5, ge=1, le=200)
    batching: Batching = Batching()
    targets: dict[Package, str] = Field(default_factory=dict)
    workers: int = Field(default=1, ge=1, le=64)
    image: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _fits_mode(self) -> Self:
        if self.memory_mb not in MEMORY_MB:
            raise ValueError(f"memory_mb {self.memory_mb} is not one of {', '.join(map(str, MEMORY_MB))}")
        if self.mode != "multi-model" and self.targets:
            raise ValueError(f"targets are for mode multi-model, not {self.mode}")
        if self.mode == "multi-model" and any(model.startswith("s3://") for model in self.archives.values()):
            raise ValueError("a multi-model endpoint wants files: they are put below one prefix of the bucket")
        return self

    @property
    def archives(self) -> dict[str, str]:
        """Package -> archive, all of this endpoint's."""
        return {self.package: self.model} | self.targets


class Hosting(Frozen):
    """Where models of this environment are hosted.

    Attributes:
        bucket: of the artefacts and of batch transforms; made by `deploy` when it is not there.
        role_arn: execution role of the endpoints; None lets `deploy` make one.
        account: twelve digits; `deploy` refuses to work in another one. None takes the one that is logged in.
        endpoints: endpoint name -> how it is hosted.
    """

    bucket: str = Field(pattern=BUCKET)
    role_arn: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    endpoints: dict[Annotated[str, Field(pattern=ENDPOINT)], EndpointHosting] = Field(min_length=1)
