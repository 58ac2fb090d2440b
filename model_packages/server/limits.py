"""What one server takes, in bytes, seconds and counts. The services' own numbers carry their source."""

from dataclasses import dataclass

SAGEMAKER_MAX_BODY = 6_291_456
"""InvokeEndpoint: `BodyBlob` has max 6291456 in the service model of SageMaker Runtime (2017-05-13)."""

BEDROCK_MAX_BODY = 25_000_000
"""InvokeModel: `Body` has max 25000000 in the service model of Bedrock Runtime (2023-09-30)."""

TITAN_MAX_TOKENS = 256
"""Amazon Bedrock user guide, Titan Multimodal Embeddings G1: max input text tokens 256 (older editions said 128)."""

TITAN_MAX_PIXELS = 2048 * 2048
"""The same page: max input image resolution 2048 x 2048 pixels."""

TITAN_MAX_CHARACTERS = 50_000
"""What Titan's embedding models answer for longer texts: "expected maxLength: 50000"."""

MAX_CHARACTERS = 1_048_576
"""Our own endpoints: models cut after some hundred tokens, but tokenizers read it all, a second a million letters."""

MAX_PIXELS = 40_000_000
"""Our own endpoints: above what cameras write, below what two decoders at once could not hold in memory."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Attributes:
        max_batch: samples in one call of the model; 1 switches batching off.
        max_wait: seconds a batch may wait for company, under load only; an idle model starts at once.
        max_queue: urgent samples, and as many others, waiting for a model; more is answered 429 at once. One request of
            more samples is taken when nothing else waits.
        deadline: seconds from the last byte of a request to its answer (SageMaker gives up after 60).
        header_timeout: seconds a client may take for its request head.
        body_timeout: seconds a client may take for its body.
        max_buffered: bytes of bodies held at once, all requests together; more is answered 429.
        max_connections: open connections; more get 503.
        decoders: threads that decode pictures.
        keep_alive: seconds an idle connection stays open; longer than OpenSearch's own pool keeps one (60), so that
            it is never closed under a request.
        shutdown: seconds accepted requests have after SIGTERM.
    """

    max_batch: int = 16
    max_wait: float = 0.004
    max_queue: int = 256
    deadline: float = 60.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    max_buffered: int = 256 * 1024 * 1024
    max_connections: int = 1024
    decoders: int = 2
    keep_alive: int = 75
    shutdown: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch <= self.max_queue:
            raise ValueError(f"max_batch {self.max_batch} must be 1 to max_queue ({self.max_queue})")
