"""One ASGI application that answers as SageMaker Runtime, Bedrock Runtime and the model container.

The life of a request: who signed it (headers) → its body, bounded → its signature (body) → its endpoint →
samples (pictures decoded in threads) → batch → vectors. A refusal on the way is put into words by the service's
`Dialect`.

    POST /endpoints/{name}/invocations   SageMaker Runtime, signed for `sagemaker`; also of the detector
    POST /model/{modelId}/invoke         Bedrock Runtime, signed for `bedrock`
    POST /personalize-ranking, /events   Personalize Runtime and Events, signed for `personalize`; the local ranker
    GET  /ping, POST /invocations        the container contract, unsigned; the second only without credentials
    GET  /                               endpoints and counters
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from neuralshelf.background import give_way
from neuralshelf.model_packages.ranker.contract import Contract
from neuralshelf.model_packages.server.batching import Batcher
from neuralshelf.model_packages.server.bodies import Body
from neuralshelf.model_packages.server.contracts import Multimodal
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.detection import DETECTOR_ENDPOINT, Detection, NamedDetector
from neuralshelf.model_packages.server.dialects import Bedrock, Container, Dialect, SageMaker
from neuralshelf.model_packages.server.endpoints import Endpoint, Service
from neuralshelf.model_packages.server.exchange import Exchange, read_signed, require_plain, while_connected
from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY, SAGEMAKER_MAX_BODY, Limits
from neuralshelf.model_packages.server.personalize import personalize_routes
from neuralshelf.model_packages.server.refusals import EndpointUnknown, MediaTypeRefused
from neuralshelf.model_packages.server.sigv4 import Credential, Verifier
from neuralshelf.model_packages.server.turns import Turns

PICTURE = "application/x-image"
"""Content type of a picture as it is, without JSON around it: SageMaker's own image models call it so."""

_MAX_BODY = {"sagemaker": SAGEMAKER_MAX_BODY, "bedrock": BEDROCK_MAX_BODY, "": SAGEMAKER_MAX_BODY}
_SMALL_BODY = 8192  # bodies up to here, texts mostly, don't queue behind pictures that are being decoded
_PURPOSE = "x-amzn-sagemaker-custom-attributes"  # our connectors say "search" there


def create_app(
    endpoints: Mapping[str, Endpoint],
    *,
    credentials: Mapping[str, Credential | str] | None,
    region: str = "us-east-1",
    limits: Limits | None = None,
    container: str | None = None,
    detector: NamedDetector | None = None,
    ranker: Contract | None = None,
    middleware: Sequence[Middleware] = (),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The application; its models run between lifespan startup and shutdown.

    Args:
        endpoints: SageMaker endpoint names and Bedrock model ids.
        credentials: access key → secret key or Credential, looked up at each request; None takes unsigned requests
            (container mode).
        region: what signatures must be scoped to.
        container: the endpoint behind `POST /invocations`; only without credentials.
        detector: what answers at DETECTOR_ENDPOINT, which is not there without.
        ranker: what answers as a campaign of Amazon Personalize, and keeps what its event tracker is told.
        middleware: wrapped around everything, outermost first.
        clock: the time signatures are judged by, aware.

    Raises:
        ValueError: `container` is unknown, or given together with credentials.
    """
    if container is not None and (credentials is not None or container not in endpoints):
        raise ValueError(f"container endpoint {container!r} must be one of the endpoints, without credentials")
    verifier = None if credentials is None else Verifier(credentials, region)
    bounds = limits or Limits()
    detections = {} if detector is None else {DETECTOR_ENDPOINT: Detection(detector, bounds)}
    runtime = Runtime(endpoints, detections, verifier, bounds, clock)
    routes = [
        Route("/endpoints/{name}/invocations", runtime.route(SageMaker()), methods=["POST"]),
        Route("/model/{name:path}/invoke", runtime.route(Bedrock()), methods=["POST"]),
        Route("/ping", runtime.ping, methods=["GET"]),
        Route("/", runtime.status, methods=["GET"]),
    ]
    if ranker is not None:
        routes += personalize_routes(ranker, runtime.exchange, verifier, clock)
    if container is not None:
        routes.append(Route("/invocations", runtime.route(Container(), container), methods=["POST"]))
    return Starlette(
        routes=routes,
        middleware=list(middleware),
        exception_handlers={HTTPException: _unknown_operation},
        lifespan=runtime.lifespan,
    )


class Runtime:
    """The models of one application and the way through it."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        detections: Mapping[str, Detection],
        verifier: Verifier | None,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self._endpoints = endpoints
        self._detections = detections
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._counters = Counters()
        self.exchange = Exchange(limits, self._counters)
        encoders = {id(endpoint.encoder): endpoint.encoder for endpoint in endpoints.values()}
        self._turns = Turns()
        self._batchers = {
            (key, urgent): Batcher(encoder, limits, self._counters, None if urgent else self._turns)
            for key, encoder in encoders.items()
            for urgent in (False, True)
        }
        self._models: tuple[Batcher | Detection, ...] = (*self._batchers.values(), *detections.values())
        self._readers: ThreadPoolExecutor | None = None
        self._decoders: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        with (
            ThreadPoolExecutor(1, "reader") as self._readers,
            ThreadPoolExecutor(self._limits.decoders, "decoder", initializer=give_way) as self._decoders,
        ):
            for model in self._models:
                model.start()
            try:
                yield
            finally:
                for model in self._models:
                    await asyncio.to_thread(model.stop, self._limits.shutdown)

    def route(self, dialect: Dialect, fixed: str | None = None) -> Callable[[Request], object]:
        """A handler that answers in `dialect`, for the endpoint in the path or the `fixed` one."""

        async def handle(request: Request) -> Response:
            return await self._handle(request, dialect, fixed or request.path_params["name"])

        return handle

    async def ping(self, _request: Request) -> Response:
        ready = all(model.running for model in self._models)
        return Response(status_code=200 if ready else 503)

    async def status(self, _request: Request) -> Response:
        served: dict[str, dict[str, object]] = {
            name: {
                "service": endpoint.service,
                "model": endpoint.encoder.name,
                "fingerprint": endpoint.encoder.fingerprint,
                "dimensions": list(endpoint.contract.dimensions_of(endpoint.encoder)),
            }
            for name, endpoint in self._endpoints.items()
        }
        served |= {
            name: {
                "service": detection.service,
                "model": detection.detector.name,
                "fingerprint": detection.detector.fingerprint,
            }
            for name, detection in self._detections.items()
        }
        waiting = sum(model.waiting for model in self._models)
        counters = self._counters.snapshot() | {"waiting": waiting}
        body = {"endpoints": served, "signed": self._verifier is not None, "counters": counters}
        return Response(orjson.dumps(body), media_type="application/json")

    async def _handle(self, request: Request, dialect: Dialect, name: str) -> Response:
        async def invoke(body: Body, request_id: str) -> Response:
            return await self._invoke(request, dialect, name, body, request_id)

        return await self.exchange.answer(request, dialect, invoke)

    async def _invoke(self, request: Request, dialect: Dialect, name: str, body: Body, request_id: str) -> Response:
        content = await read_signed(
            request, body, self._verifier, dialect.service, self._clock(), _MAX_BODY[dialect.service]
        )
        endpoint = self._endpoint(name, dialect)
        picture = _is_picture(request, dialect, endpoint)
        search = request.headers.get(_PURPOSE) == "search"
        answering = self._answer(endpoint, content, body, picture=picture, search=search)
        tokens, answer, seconds = await while_connected(body, answering)
        return Response(answer, 200, _answer_headers(dialect, request_id, tokens, seconds), "application/json")

    async def _answer(
        self, endpoint: Endpoint | Detection, content: bytes, body: Body, *, picture: bool, search: bool
    ) -> tuple[int, bytes, float]:
        """Tokens that were read, the answer's body, and the seconds that it took."""
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.deadline
        if isinstance(endpoint, Detection):
            return 0, await endpoint.answer(content, deadline), time.monotonic() - start
        threads = self._readers if search or len(content) <= _SMALL_BODY else self._decoders
        read = endpoint.contract.read
        if picture and isinstance(endpoint.contract, Multimodal):
            read = endpoint.contract.read_picture
        work = await loop.run_in_executor(threads, read, content, endpoint.encoder)
        body.release()
        self._counters.add(
            images=sum(sample.image is not None for sample in work.samples),
            texts=sum(sample.text is not None for sample in work.samples),
        )
        lone_text = len(work.samples) == 1 and work.samples[0].image is None  # an ingest sends many
        urgent = search or lone_text
        if urgent:
            self._turns.searched()
        batcher = self._batchers[id(endpoint.encoder), urgent]
        rows = await batcher.encode(work.samples, work.dimension, deadline)
        return work.tokens, endpoint.contract.answer(work, rows), time.monotonic() - start

    def _endpoint(self, name: str, dialect: Dialect) -> Endpoint | Detection:
        endpoint = self._endpoints.get(name) or self._detections.get(name)
        if endpoint is None or dialect.service not in ("", endpoint.service):
            raise EndpointUnknown(name)
        return endpoint


def _is_picture(request: Request, dialect: Dialect, endpoint: Endpoint | Detection) -> bool:
    """Whether the body is a picture as it is; else it is JSON.

    Raises: EncodingRefused, MediaTypeRefused.
    """
    require_plain(request)
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    takes_pictures = isinstance(endpoint, Endpoint) and isinstance(endpoint.contract, Multimodal)
    if media == PICTURE and takes_pictures and dialect.service != Service.BEDROCK:
        return True
    if media not in ("application/json", "application/octet-stream"):
        raise MediaTypeRefused("Content type must be application/json")
    return False


def _answer_headers(dialect: Dialect, request_id: str, tokens: int, seconds: float) -> dict[str, str]:
    headers = {"x-amzn-RequestId": request_id}
    if dialect.service == Service.SAGEMAKER:
        headers["x-Amzn-Invoked-Production-Variant"] = "AllTraffic"
    if dialect.service == Service.BEDROCK:
        headers["X-Amzn-Bedrock-Invocation-Latency"] = str(round(seconds * 1000))
        headers["X-Amzn-Bedrock-Input-Token-Count"] = str(tokens)
    return headers


async def _unknown_operation(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {"x-amzn-ErrorType": "UnknownOperationException"}
    return Response(orjson.dumps({"message": "Unknown operation"}), status, headers, "application/json")
