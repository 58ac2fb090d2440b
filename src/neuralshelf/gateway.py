"""The search page and the few requests it may make: the cluster's address and login stay on this side.

    GET  /                  the page (and its script, style and icon)
    GET  /api/status        {index, documents, vector_weight, search_url}
    GET  /api/facets        {facets: {field: [{value, count}]}, price: {min, max}}
    POST /api/search        Question -> {hits: [{id, score, source}], total, took, body}
    GET  /pictures/KEY/…    pictures of the catalogues that were ingested

Failures are {error, hint, code}: one line each, without addresses and pictures.
"""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import NotFoundError, OpenSearch, OpenSearchException, TransportError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuralshelf.errors import one_line
from neuralshelf.search import reason
from neuralshelf.storefront import Question, Storefront, without_pictures

MAX_BODY_BYTES = 6_000_000  # what SageMaker takes, so no picture gets through that a model must refuse
PICTURE_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Folders = Callable[[], Mapping[str, Path]]


def create_gateway(
    client: OpenSearch,
    *,
    index: str,
    template: str,
    pictures: Folders | None = None,
    public_url: str | None = None,
) -> Starlette:
    """The page's ASGI app.

    Args:
        index: index or alias that is searched.
        template: id of the stored search template; `NAME-search` has `NAME-keyword-search` beside it.
        pictures: gives key -> folder whenever it is called; `image_path` of a document is KEY/path below that folder.
        public_url: the cluster's address, for the page to show; only for clusters without a login.
    """
    page = _Page(Storefront(client, index, template), pictures or dict, public_url)
    return Starlette(
        routes=[
            *(Route(f"/{name}", _static(content, kind)) for name, (content, kind) in _assets().items()),
            Route("/api/status", page.status),
            Route("/api/facets", page.facets),
            Route("/api/search", page.search, methods=["POST"]),
            Route("/pictures/{path:path}", page.picture),
        ],
        middleware=[Middleware(_Headers)],
        exception_handlers={
            HTTPException: _refused,
            OpenSearchException: _failed,
            ValidationError: _invalid,
            Exception: _broken,
        },
    )


class _Page:
    """The handlers, each of them thin: opensearch-py is synchronous and runs in threads."""

    def __init__(self, storefront: Storefront, pictures: Folders, public_url: str | None) -> None:
        self._storefront = storefront
        self._pictures = pictures
        self._public_url = public_url

    async def status(self, request: Request) -> Response:
        found = await run_in_threadpool(self._storefront.status)
        url = f"{self._public_url.rstrip('/')}/{self._storefront.index}/_search" if self._public_url else None
        return _answer(found | {"search_url": url})

    async def facets(self, request: Request) -> Response:
        return _answer(await run_in_threadpool(self._storefront.facets))

    async def search(self, request: Request) -> Response:
        # A page of another site can send this content type only after asking, which nothing here allows.
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise HTTPException(415, "the content type must be application/json")
        question = Question.model_validate(_parsed(await _read(request)))
        return _answer(await run_in_threadpool(self._storefront.search, question))

    async def picture(self, request: Request) -> Response:
        found = await run_in_threadpool(self._picture, request.path_params["path"])
        if found is None:
            raise HTTPException(404, "no such picture")
        return FileResponse(
            found, media_type=PICTURE_TYPES[found.suffix.lower()], headers={"Cache-Control": "private, max-age=600"}
        )

    def _picture(self, path: str) -> Path | None:
        """A picture strictly below the folder that the first part of `path` names; a link out of it counts as none."""
        key, _, rest = path.partition("/")
        folder = self._pictures().get(key)
        if folder is None or not rest or "\0" in rest:
            return None
        root, found = folder.resolve(), (folder / rest).resolve()
        inside = found.is_relative_to(root) and found.suffix.lower() in PICTURE_TYPES and found.is_file()
        return found if inside else None


class _Headers:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


def _assets() -> dict[str, tuple[bytes, str]]:
    """The files of the page, read once: what is not in this list can't be asked for."""
    folder = files("neuralshelf.web")
    found = {
        file.name: (file.read_bytes(), PAGE_TYPES[suffix])
        for file in folder.iterdir()
        if (suffix := Path(file.name).suffix) in PAGE_TYPES
    }
    return found | {"": found.pop("index.html")}


def _static(content: bytes, kind: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return answer


async def _read(request: Request) -> bytes:
    """The body, read no further than the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request is over {MAX_BODY_BYTES // 1_000_000} MB")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is JSON, but no text that can be sent on
    except (ValueError, RecursionError):
        raise HTTPException(400, "the request is not JSON in UTF-8") from None
    return found


def _answer(content: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


def _failure(status: int, code: str, error: str, hint: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    content = {"error": one_line(without_pictures(error)), "hint": hint, "code": code}
    return JSONResponse(content, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    hint = "use a smaller picture" if fault.status_code == 413 else "see the page's own requests"
    return _failure(fault.status_code, "refused", fault.detail, hint, fault.headers)


def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, ValidationError)
    first = fault.errors(include_input=False, include_url=False, include_context=False)[0]
    at = ".".join(str(part) for part in first["loc"]) or "request"
    return _failure(422, "refused", f"{at}: {first['msg']}", f"correct {at}")


def _failed(request: Request, fault: Exception) -> Response:
    """The cluster refused or is away. The transport's own messages hold its address, so they are not passed on."""
    if isinstance(fault, NoConnection):
        return _failure(503, "engine_unreachable", "no answer from OpenSearch", "neuralshelf status")
    if isinstance(fault, NotFoundError):
        return _failure(503, "not_provisioned", "the index or its search template is not there yet", "neuralshelf up")
    if isinstance(fault, TransportError) and fault.status_code in (401, 403):
        return _failure(502, "login_refused", "OpenSearch refuses the login of this page", "check the environment")
    if isinstance(fault, TransportError):
        return _failure(502, "search_failed", reason(fault), "neuralshelf status")
    return _failure(502, "search_failed", "OpenSearch gave an answer that can't be read", "neuralshelf status")


def _broken(request: Request, fault: Exception) -> Response:
    """The outermost edge: uvicorn logs the traceback, the page gets a line."""
    return _failure(500, "broken", "the search page's server failed", "see its log")
