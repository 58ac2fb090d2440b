"""A connector as a team writes it down: which kind of endpoint, which vector size, how patient."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from neuralshelf.frozen import Frozen
from neuralshelf.hosting import ENDPOINT
from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY, SAGEMAKER_MAX_BODY, TITAN_MAX_TOKENS

Role = Literal["ingest", "search"]
ROLES: tuple[Role, ...] = ("ingest", "search")
"""Each endpoint has one connector and one model a role, so that a bulk never starves a query."""

TITAN_DIMENSIONS = (256, 384, 1024)
ANY_SIDE = 65_535  # pixels: as long as a JPEG may be
NAME = r"^[a-z][a-z0-9-]{0,40}$"
"""What a connector may be called in the configuration: a part of names that ML Commons has to take."""

TARGET = r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,255}$"


class ClientTuning(Frozen):
    """`client_config` of ML Commons, always written out: its defaults lose documents when an endpoint throttles.

    In a file any of the values may be left out; the role's default stands then.

    Attributes:
        max_connection: open connections per node; a request that waits over 10 s for one fails.
        connection_timeout, read_timeout, retry_timeout: seconds.
        max_retry_times: 3.6.0 retries only answers that carry AWS's throttling header.
        retry_backoff: milliseconds before the first repetition; the policy is exponential with full jitter.
    """

    max_connection: int = Field(ge=1, le=1000)
    connection_timeout: int = Field(ge=1, le=600)
    read_timeout: int = Field(ge=1, le=600)
    max_retry_times: int = Field(ge=0, le=20)
    retry_timeout: int = Field(ge=1, le=600)
    retry_backoff: int = Field(ge=1, le=60_000)


INGEST_TUNING = ClientTuning(
    max_connection=100, connection_timeout=10, read_timeout=60, max_retry_times=5, retry_timeout=60, retry_backoff=200
)
SEARCH_TUNING = ClientTuning(
    max_connection=50, connection_timeout=3, read_timeout=10, max_retry_times=1, retry_timeout=5, retry_backoff=50
)


class _Connector(Frozen):
    ingest: ClientTuning = INGEST_TUNING
    search: ClientTuning = SEARCH_TUNING

    @field_validator("ingest", mode="before")
    @classmethod
    def _over_ingest(cls, value: Any) -> Any:
        return INGEST_TUNING.model_dump() | dict(value) if isinstance(value, Mapping) else value

    @field_validator("search", mode="before")
    @classmethod
    def _over_search(cls, value: Any) -> Any:
        return SEARCH_TUNING.model_dump() | dict(value) if isinstance(value, Mapping) else value

    def tuning(self, role: Role) -> ClientTuning:
        """How patient the connector of `role` is."""
        return self.ingest if role == "ingest" else self.search


class SageMakerClip(_Connector):
    """A SageMaker endpoint that takes text, a picture, or both, in the shape of Titan Multimodal.

    Attributes:
        target_model: archive behind a multi-model endpoint, such as `clip.tar.gz`.
        max_body: bytes of a request. A serverless endpoint takes 4 MB (Amazon SageMaker AI developer guide, "Invoke a
            serverless endpoint"): 4000000.
        max_tokens: of a text; the model cuts longer ones. CLIP's own number, begin and end mark included.
        batch: the cluster may start batch transforms of its model (`neuralshelf batch --through-opensearch`).
        max_side: pixels in width and in height.
    """

    kind: Literal["sagemaker-clip"]
    endpoint: str = Field(pattern=ENDPOINT)
    target_model: str | None = Field(default=None, pattern=TARGET)
    dimension: int = Field(ge=1, le=16_000)
    max_body: int = Field(default=SAGEMAKER_MAX_BODY, ge=1_000_000, le=BEDROCK_MAX_BODY)
    max_tokens: int = Field(default=77, ge=1)
    batch: bool = False
    max_side: ClassVar[int] = ANY_SIDE


class SageMakerText(_Connector):
    """A SageMaker endpoint that takes a list of texts and answers a list of vectors.

    Attributes:
        target_model: archive behind a multi-model endpoint, such as `minilm.tar.gz`.
        max_tokens: of a text; the model cuts longer ones. The number of all-MiniLM-L6-v2, begin and end mark included.
        batch: the cluster may start batch transforms of its model (`neuralshelf batch --through-opensearch`).
    """

    kind: Literal["sagemaker-text"]
    endpoint: str = Field(pattern=ENDPOINT)
    target_model: str | None = Field(default=None, pattern=TARGET)
    dimension: int = Field(ge=1, le=16_000)
    batch_size: int = Field(default=16, ge=1, le=256)
    max_tokens: int = Field(default=256, ge=1)
    batch: bool = False


class BedrockTitanMultimodal(_Connector):
    """Amazon Titan Multimodal Embeddings on Bedrock: text, a picture, or both.

    Attributes:
        max_tokens: of a text; longer ones are refused.
        max_body: bytes of a request.
        max_side: pixels in width and in height ("max input image resolution 2048 x 2048 pixels", Amazon Bedrock user
            guide, Titan Multimodal Embeddings G1).
    """

    kind: Literal["bedrock-titan-multimodal"]
    model_id: str = Field(default="amazon.titan-embed-image-v1", pattern=r"^[A-Za-z0-9.:/-]{1,2048}$")
    dimension: int = 1024
    max_tokens: int = Field(default=TITAN_MAX_TOKENS, ge=1)
    max_body: ClassVar[int] = BEDROCK_MAX_BODY
    max_side: ClassVar[int] = 2048

    @model_validator(mode="after")
    def _dimension_is_offered(self) -> Self:
        if self.dimension not in TITAN_DIMENSIONS:
            offered = ", ".join(map(str, TITAN_DIMENSIONS))
            raise ValueError(f"dimension {self.dimension} is not one that {self.model_id} gives ({offered})")
        return self


ConnectorName = Annotated[str, Field(pattern=NAME)]
ConnectorSpec = Annotated[SageMakerClip | SageMakerText | BedrockTitanMultimodal, Field(discriminator="kind")]
