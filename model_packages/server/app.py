"""One ASGI application that answers as SageMaker Runtime, Bedrock Runtime and the model container.

The life of a request: who signed it (headers) → its body, bounded → its signature (body) → its endpoint →
samples (pictures decoded in threads) → batch → vectors. A refusal on the way is put into words by the service's
`Dialect`.

    POST /endpoints/{name}/invocations   SageMaker Runtime, signed for `sagemaker`
    POST /model/{modelId}/invoke         Bedrock Runtime, signed for `bedrock`
    GET  /ping, POST /invocations        the container contract, unsigned; the second only without credentials
    GET  /                               endpoints and counters
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from neuralshelf.background import give_way
from neuralshelf.model_packages.encoder import Encoder
from neuralshelf.model_packages.server.batching import Batcher
from neuralshelf.model_packages.server.bodies import Body, BodyMemory
from neuralshelf.model_packages.server.contracts import Multimodal, Work
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.dialects import Bedrock, Container, Dialect, SageMaker
from neuralshelf.model_packages.server.endpoints import Endpoint, Service
from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY, SAGEMAKER_MAX_BODY, Limits
from neuralshelf.model_packages.server.refusals import EncodingRefused, EndpointUnknown, MediaTypeRefused, Refusal
from neuralshelf.model_packages.server.sigv4 import Credential, SignedRequest, Verifier
from neuralshelf.model_packages.server.turns import Turns

_log = logging.getLogger(__name__)

PICTURE = "application/x-image"
"""Content type of a picture as it is, without JSON around it: SageMaker's own image models call it so."""

Read = Callable[[bytes, Encoder], Work]

_MAX_BODY = {"sagemaker": SAGEMAKER_MAX_BODY, "bedrock": BEDROCK_MAX_BODY, "": SAGEMAKER_MAX_BODY}
_CLIENT_CLOSED_REQUEST = 499
_SMALL_BODY = 8192  # bodies up to here, texts mostly, don't queue behind pictures that are being decoded
_PURPOSE = "x-amzn-sagemaker-custom-attributes"  # our connectors say "search" there


def create_app(
    endpoints: Mapping[str, Endpoint],
    *,
    credentials: Mapping[str, Credential | str] | None,
    region: str = "us-east-1",
    limits: Limits | None = None,
    container: str | None = None,
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
        middleware: wrapped around everything, outermost first.
        clock: the time signatures are judged by, aware.

    Raises:
        ValueError: `container` is unknown, or given together with credentials.
    """
    if container is not None and (credentials is not None or container not in endpoints):
        raise ValueError(f"container endpoint {container!r} must be one of the endpoints, without credentials")
    verifier = None if credentials is None else Verifier(credentials, region)
    runtime = Runtime(endpoints, verifier, limits or Limits(), clock)
    routes = [
        Route("/endpoints/{name}/invocations", runtime.route(SageMaker()), methods=["POST"]),
        Route("/model/{name:path}/invoke", runtime.route(Bedrock()), methods=["POST"]),
        Route("/ping", runtime.ping, methods=["GET"]),
        Route("/", runtime.status, methods=["GET"]),
    ]
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
        verifier: Verifier | None,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self._endpoints = endpoints
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._counters = Counters()
        self._memory = BodyMemory(limits.max_buffered)
        encoders = {id(endpoint.encoder): endpoint.encoder for endpoint in endpoints.values()}
        self._turns = Turns()
        self._batchers = {
            (key, urgent): Batcher(encoder, limits, self._counters, None if urgent else self._turns)
            for key, encoder in encoders.items()
            for urgent in (False, True)
        }
        self._readers: ThreadPoolExecutor | None = None
        self._decoders: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        with (
            ThreadPoolExecutor(1, "reader") as self._readers,
            ThreadPoolExecutor(self._limits.decoders, "decoder", initializer=give_way) as self._decoders,
        ):
            for batcher in self._batchers.values():
                batcher.start()
            try:
                yield
            finally:
                for batcher in self._batchers.values():
                    await asyncio.to_thread(batcher.stop, self._limits.shutdown)

    def route(self, dialect: Dialect, fixed: str | None = None) -> Callable[[Request], object]:
        """A handler that answers in `dialect`, for the endpoint in the path or the `fixed` one."""

        async def handle(request: Request) -> Response:
            return await self._handle(request, dialect, fixed or request.path_params["name"])

        return handle

    async def ping(self, _request: Request) -> Response:
        ready = all(batcher.running for batcher in self._batchers.values())
        return Response(status_code=200 if ready else 503)

    async def status(self, _request: Request) -> Response:
        served = {
            name: {
                "service": endpoint.service,
                "model": endpoint.encoder.name,
                "fingerprint": endpoint.encoder.fingerprint,
                "dimensions": list(endpoint.contract.dimensions_of(endpoint.encoder)),
            }
            for name, endpoint in self._endpoints.items()
        }
        waiting = sum(batcher.waiting for batcher in self._batchers.values())
        counters = self._counters.snapshot() | {"waiting": waiting}
        body = {"endpoints": served, "signed": self._verifier is not None, "counters": counters}
        return Response(orjson.dumps(body), media_type="application/json")

    async def _handle(self, request: Request, dialect: Dialect, name: str) -> Response:
        request_id = str(uuid.uuid4())
        self._counters.add(requests=1)
        body = Body(request, self._memory, self._limits)
        refusal: Refusal | None = None
        try:
            return await self._invoke(request, dialect, name, body, request_id)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except Refusal as caught:
            refusal = caught
        except Exception as error:  # noqa: BLE001 - the outermost edge: a client gets an answer, never a traceback
            _log.error("request_id=%s internal failure: %s", request_id, type(error).__name__)
        finally:
            body.release()
        said = dialect.say(refusal)
        self._counters.error(said.code)
        _log.info("request_id=%s status=%d code=%s", request_id, said.status, said.code)
        await body.discard()
        response = said.response(request_id)
        if not body.complete:
            response.headers["connection"] = "close"
        return response

    async def _invoke(self, request: Request, dialect: Dialect, name: str, body: Body, request_id: str) -> Response:
        signed = SignedRequest(
            request.method,
            request.scope["raw_path"],
            request.scope["query_string"],
            SignedRequest.fold(request.scope["headers"]),
        )
        claim = self._verifier.claim(signed, dialect.service, self._clock()) if self._verifier else None
        content, digest = await body.read(_MAX_BODY[dialect.service])
        if claim is not None:
            Verifier.verify(claim, signed, digest)
        endpoint = self._endpoint(name, dialect)
        read = _reader(request, dialect, endpoint)
        search = request.headers.get(_PURPOSE) == "search"
        answering = asyncio.ensure_future(self._answer(endpoint, read, content, body, search=search))
        leaving = asyncio.ensure_future(body.gone())
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
        if not answering.done():
            raise ClientDisconnect
        work, answer, seconds = answering.result()
        return Response(answer, 200, _answer_headers(dialect, request_id, work, seconds), "application/json")

    async def _answer(
        self, endpoint: Endpoint, read: Read, content: bytes, body: Body, *, search: bool
    ) -> tuple[Work, bytes, float]:
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.deadline
        threads = self._readers if search or len(content) <= _SMALL_BODY else self._decoders
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
        return work, endpoint.contract.answer(work, rows), time.monotonic() - start

    def _endpoint(self, name: str, dialect: Dialect) -> Endpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None or dialect.service not in ("", endpoint.service):
            raise EndpointUnknown(name)
        return endpoint


def _reader(request: Request, dialect: Dialect, endpoint: Endpoint) -> Read:
    """What understands a body of that content type."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodingRefused("Compressed request bodies are not taken; send the JSON as it is")
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    contract = endpoint.contract
    if media == PICTURE and isinstance(contract, Multimodal) and dialect.service != Service.BEDROCK:
        return contract.read_picture
    if media not in ("application/json", "application/octet-stream"):
        raise MediaTypeRefused("Content type must be application/json")
    return contract.read


def _answer_headers(dialect: Dialect, request_id: str, work: Work, seconds: float) -> dict[str, str]:
    headers = {"x-amzn-RequestId": request_id}
    if dialect.service == Service.SAGEMAKER:
        headers["x-Amzn-Invoked-Production-Variant"] = "AllTraffic"
    if dialect.service == Service.BEDROCK:
        headers["X-Amzn-Bedrock-Invocation-Latency"] = str(round(seconds * 1000))
        headers["X-Amzn-Bedrock-Input-Token-Count"] = str(work.tokens)
    return headers


async def _unknown_operation(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {"x-amzn-ErrorType": "UnknownOperationException"}
    return Response(orjson.dumps({"message": "Unknown operation"}), status, headers, "application/json")
