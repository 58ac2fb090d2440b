"""A model package behind the contract of a SageMaker container: `GET /ping`, `POST /invocations`.

Does what SageMaker's PyTorch container does with code/inference.py (read in sagemaker-pytorch-inference-toolkit 2.0.25,
`sagemaker_inference/transformer.py`, and in TorchServe's `ts/service.py`):

- code/ comes first on sys.path; `model_fn(model_dir)` is called once.
- A body is a bytearray, but a str when its content type is exactly application/json or text/csv.
- No Accept, or */*, means application/json.
- `transform_fn(model, body, content_type, accept)`, if there, stands for the other three.
- Of a batch, requests go through the functions one by one, all with the content type and Accept of the first. When one
  is refused, the whole batch is answered 503.

Other than there, an answer never holds a traceback, and a full queue is 429.
"""

import asyncio
import importlib.util
import inspect
import itertools
import json
import logging
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from neuralshelf.model_packages.packaging.archive import unpack
from neuralshelf.model_packages.packaging.manifest import PackageError
from neuralshelf.model_packages.server.bodies import Body
from neuralshelf.model_packages.server.counters import Counters
from neuralshelf.model_packages.server.dialects import Container, Said
from neuralshelf.model_packages.server.exchange import Exchange, require_plain, while_connected
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY, Limits
from neuralshelf.model_packages.server.refusals import ModelFailed, Refusal
from neuralshelf.model_packages.server.worker import Worker

_log = logging.getLogger(__name__)

JSON = "application/json"
_DECODED = (JSON, "text/csv")
_FUNCTIONS = {"model_fn": 1, "input_fn": 2, "predict_fn": 2, "output_fn": 2}
_MODULE = "_neuralshelf_inference_"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """One request as the container hands it on; `content_type` is the header as sent, or None."""

    body: bytes
    content_type: str | None = JSON
    accept: str = JSON


@dataclass(frozen=True)
class Answer:
    """A body and its content type."""

    body: bytes
    content_type: str


class HandlerRefused(Refusal):
    """The package refused the input with a status of its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Handler:
    """The functions of a code/inference.py, and the model that its model_fn gave."""

    def __init__(self, functions: ModuleType, model_dir: Path) -> None:
        """Calls model_fn, in which anything may be raised.

        Raises:
            PackageError: a function is missing or takes another number of arguments.
        """
        wanted = {"model_fn": 1, "transform_fn": 4} if hasattr(functions, "transform_fn") else _FUNCTIONS
        for name, count in wanted.items():
            function = getattr(functions, name, None)
            if not callable(function) or len(inspect.signature(function).parameters) != count:
                raise PackageError(
                    f"{functions.__file__}: expected a function {name} of {count} arguments",
                    hint="docs/packages.md shows an inference.py",
                )
        self._functions: Any = functions
        self._transform_one: Callable[..., object] = getattr(functions, "transform_fn", self._default_transform)
        self._model = functions.model_fn(str(model_dir))

    @classmethod
    def load(cls, code: Path, model_dir: Path) -> "Handler":
        """From the folder of inference.py and the folder of the weights.

        Raises:
            PackageError: there is no inference.py, or as `Handler`.
        """
        path = code / "inference.py"
        spec = importlib.util.spec_from_file_location(f"{_MODULE}{next(_numbers)}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise PackageError(f"{path}: no such file", hint="name a model package or its archive")
        _forget_namesakes(code)
        sys.path.insert(0, str(code.resolve()))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickles look their module up there
        spec.loader.exec_module(module)
        return cls(module, model_dir)

    def transform(self, calls: Sequence[Call]) -> list[Answer]:
        """Answer a batch.

        Raises:
            Refusal: of the only call; HandlerRefused with status 503 when there are others in the batch.
        """
        content_type, accept = calls[0].content_type, calls[0].accept
        try:
            return [self._answer(call.body, content_type, accept) for call in calls]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge: a package may raise anything
            refusal = _refusal(error)
        if len(calls) > 1:
            why = f"A request of a batch of {len(calls)} was refused: {refusal.message}"
            raise HandlerRefused(503, "BatchRefused", why)
        raise refusal

    def _answer(self, body: bytes, content_type: str | None, accept: str) -> Answer:
        data = body.decode("utf-8") if content_type in _DECODED else bytearray(body)
        given = self._transform_one(self._model, data, content_type, accept)
        if isinstance(given, tuple):
            given, accept = given
        if isinstance(given, str):
            given = given.encode("utf-8")
        elif not isinstance(given, bytes | bytearray):
            given = json.dumps(given, indent=2).encode()
        return Answer(bytes(given), accept)

    def _default_transform(self, model: object, body: object, content_type: str | None, accept: str) -> object:
        data = self._functions.input_fn(body, content_type)
        return self._functions.output_fn(self._functions.predict_fn(data, model), accept)


@contextmanager
def opened(package: Path, weights: Path | None, parent: Path | None) -> Iterator[tuple[Path, Path]]:
    """The folders of code and of weights; those of an archive are unpacked below `parent` for the while.

    Raises:
        PackageError: the archive is refused, or weights are named besides it.
    """
    if not package.is_file():
        yield package / "code", weights or package
        return
    if weights:
        raise PackageError(f"{package}: an archive holds its weights", hint="leave --weights away")
    with tempfile.TemporaryDirectory(prefix="neuralshelf-", dir=parent) as private:
        unpack(package, Path(private, "model"))
        yield Path(private, "model", "code"), Path(private, "model")


def create_package_app(handler: Handler, limits: Limits | None = None) -> Starlette:
    """The application around a loaded handler; its worker runs between lifespan startup and shutdown.

    Args:
        limits: `max_batch` and `max_wait` are TorchServe's batchSize and maxBatchDelay.
    """
    container = _PackageContainer(handler, limits or Limits(max_batch=1))
    routes = [
        Route("/invocations", container.invocations, methods=["POST"]),
        Route("/ping", container.ping, methods=["GET"]),
        Route("/", container.status, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=container.lifespan)


class _PackageContainer:
    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._limits = limits
        self._counters = Counters()
        self._exchange = Exchange(limits, self._counters)
        self._worker = Worker(handler.transform, limits)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._worker.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._worker.stop, self._limits.shutdown)

    async def ping(self, _request: Request) -> Response:
        return Response(status_code=200 if self._worker.running else 503)

    async def status(self, _request: Request) -> Response:
        shown = self._counters.snapshot()
        counters = {"requests": shown["requests"], "errors": shown["errors"], "waiting": self._worker.waiting}
        return Response(orjson.dumps({"counters": counters}), media_type=JSON)

    async def invocations(self, request: Request) -> Response:
        async def invoke(body: Body, request_id: str) -> Response:
            require_plain(request)
            content, _ = await body.read(SAGEMAKER_MAX_BODY)
            accept = request.headers.get("accept", "*/*")
            call = Call(content, request.headers.get("content-type"), JSON if accept == "*/*" else accept)
            deadline = asyncio.get_running_loop().time() + self._limits.deadline
            answer = await while_connected(body, self._worker.ask(call, deadline))
            headers = {"x-amzn-RequestId": request_id, "content-type": answer.content_type}
            return Response(answer.body, headers=headers)

        return await self._exchange.answer(request, _Dialect(), invoke)


class _Dialect(Container):
    def say(self, refusal: Refusal | None) -> Said:
        if isinstance(refusal, HandlerRefused):
            return Said(refusal.status, refusal.code, {"code": refusal.code, "message": refusal.message})
        return super().say(refusal)


def _refusal(error: BaseException) -> Refusal:
    """What a package raised, as a refusal: its own, or the toolkit's BaseInferenceToolkitError, known by its
    attributes; anything else is a failure, told without its message, which may repeat the input."""
    if isinstance(error, Refusal):
        return error
    status, message = getattr(error, "status_code", None), getattr(error, "message", None)
    if isinstance(status, int) and isinstance(message, str) and 400 <= status <= 599:
        text = message.encode("utf-8", "replace").decode()
        phrase = str(getattr(error, "phrase", ""))
        return HandlerRefused(status, phrase if phrase.isidentifier() else type(error).__name__, text)
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("model failed: %s\n%s", type(error).__name__, frames)
    return ModelFailed(f"The model failed on this input: {type(error).__name__}")


def _forget_namesakes(code: Path) -> None:
    """Modules that another package in this process brought along make room for those of the same name in `code`."""
    others = {Path(str(module.__file__)).parent for name, module in sys.modules.items() if name.startswith(_MODULE)}
    ours = {path.stem for path in code.iterdir() if path.suffix == ".py" or path.is_dir()} if code.is_dir() else set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] in ours and file and others & set(Path(file).parents):
            del sys.modules[name]
