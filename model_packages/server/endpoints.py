"""Which names answer, with which model, in which contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from neuralshelf.model_packages.encoder import Encoder
from neuralshelf.model_packages.server.contracts import CLIP, TEXTS, TITAN, Contract

CLIP_ENDPOINT = "neuralshelf-clip"
TEXT_ENDPOINT = "neuralshelf-minilm"
TITAN_MODEL = "amazon.titan-embed-image-v1"


class Service(StrEnum):
    """The service an endpoint belongs to; the value is the name signatures are scoped to."""

    SAGEMAKER = "sagemaker"
    BEDROCK = "bedrock"


@dataclass(frozen=True)
class Endpoint:
    """A model behind a contract.

    Raises:
        ValueError: the contract promises a dimension the model can't give.
    """

    service: Service
    contract: Contract
    encoder: Encoder

    def __post_init__(self) -> None:
        impossible = set(self.contract.dimensions_of(self.encoder)) - set(self.encoder.dimensions)
        if impossible:
            raise ValueError(f"model {self.encoder.name} can't give dimensions {sorted(impossible)}")


def standard_endpoints(multimodal: Encoder, text: Encoder) -> Mapping[str, Endpoint]:
    """The three endpoints of a local server: CLIP and sentence embeddings as on SageMaker, Titan as on Bedrock."""
    return {
        CLIP_ENDPOINT: Endpoint(Service.SAGEMAKER, CLIP, multimodal),
        TEXT_ENDPOINT: Endpoint(Service.SAGEMAKER, TEXTS, text),
        TITAN_MODEL: Endpoint(Service.BEDROCK, TITAN, multimodal),
    }
