"""The server behind the search page: its files, the catalogue's pictures, and a fixed set of questions to one index.

    GET  /               the page; its script, style and icon beside it
    GET  /api/status     what is searched, and by which engine
    GET  /api/facets     what can be filtered by
    POST /api/search     Question -> hits, and the body that was sent to `_search`
    POST /api/objects    a picture -> the things in it, or a crop of one
    POST /api/views      View -> kept as an event of the person whom the page searches as
    GET  /pictures/KEY/… pictures of the catalogues that were ingested, and crops of them

A browser gets nothing else through it: no address of the cluster (unless it is given as `public_url`), no login, no
query of its own. Everything but 200 is {"error": one line, "hint": the next step, "code": for programs}.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from opensearchpy import OpenSearch
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from neuralshelf.connectors.ranking import RankingSpec
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.sources.crops import cropped, split
from neuralshelf.model_packages.server.limits import BEDROCK_MAX_BODY
from neuralshelf.objects import Finder, Look
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.storefront import Question, Refusal, Storefront, Tracker, View
from neuralshelf.web import SecurityHeaders, page_files

MAX_BODY_BYTES = 6_200_000
PICTURE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
}

PictureFolders = Callable[[], Mapping[str, Path]]
"""Catalogue key -> folder; asked at each request, since a catalogue may be ingested while the page is up."""


def create_gateway(
    client: OpenSearch,
    *,
    index: IndexSpec,
    search: SearchSpec,
    pictures: PictureFolders = dict,
    public_url: str | None = None,
    finder: Finder | None = None,
    ranking: RankingSpec | None = None,
    tracker: Tracker | None = None,
) -> Starlette:
    """The ASGI app of the search page.

    Args:
        client: of the cluster; used from several threads at once.
        index, search: the configuration whose alias and stored templates are asked.
        pictures: where `image_path` of a product, KEY/PATH, is found.
        ranking: how hits come in somebody's order.
        tracker: keeps what these people look at; without it the page keeps nothing.
        public_url: base URL of the cluster for the `curl` line that the page shows; leave it out for a cluster that
            the people who see the page should not know.
        finder: finds things in pictures; without it the page searches with whole ones.
    """
    storefront = Storefront(client, index, search, public_url, ranking=ranking, tracker=tracker)
    files = page_files()

    async def ask(request: Request) -> Response:
        question = _understood(Question, await _body(request))
        return JSONResponse(await run_in_threadpool(storefront.answer, question))

    async def objects(request: Request) -> Response:
        if finder is None:
            raise HTTPException(404)
        return JSONResponse(await finder.answer(_understood(Look, await _body(request))))

    async def views(request: Request) -> Response:
        view = _understood(View, await _body(request))
        return JSONResponse(await run_in_threadpool(storefront.keep, view))

    async def facets(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(storefront.facets))

    async def status(request: Request) -> Response:
        found = await run_in_threadpool(storefront.status)
        return JSONResponse(found | {"objects": finder is not None})

    async def picture(request: Request) -> Response:
        return await run_in_threadpool(_picture, pictures(), request.path_params["path"])

    async def page(request: Request) -> Response:
        file = files.get(request.path_params.get("name", "index.html"))
        if file is None:
            raise HTTPException(404)
        return file.response(request.headers.get("if-none-match"))

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/api/search", ask, methods=["POST"]),
            Route("/api/objects", objects, methods=["POST"]),
            Route("/api/views", views, methods=["POST"]),
            Route("/api/facets", facets, methods=["GET"]),
            Route("/api/status", status, methods=["GET"]),
            Route("/pictures/{path:path}", picture, methods=["GET"]),
            Route("/{name}", page, methods=["GET"]),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={Refusal: _refused, HTTPException: _http_error, Exception: _broken},
    )


async def _body(request: Request) -> bytes:
    # A page of another site can't send this type without being allowed to first (CORS), which nothing here does.
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "bad_request", "the body must be application/json", "send content-type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "too_large", "the picture is too large", "use one below 4.5 MB")
    return bytes(body)


Asked = TypeVar("Asked", bound=BaseModel)


def _understood(kind: type[Asked], body: bytes) -> Asked:
    try:
        return kind.model_validate_json(body)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Refusal(
            400, "bad_request", f"{key}: {first['msg']}" if key else first["msg"], "correct the request"
        ) from None


def _picture(folders: Mapping[str, Path], path: str) -> Response:
    """A picture strictly below one of the catalogue folders, by KEY/PATH, or a crop of it, by KEY/PATH#box=…"""
    try:
        path, box = split(path)
    except ValueError:
        raise HTTPException(404) from None
    key, _, below = path.partition("/")
    folder, kind = folders.get(key), PICTURE_TYPES.get(Path(below).suffix.lower())
    if folder is None or kind is None or "\0" in below:
        raise HTTPException(404)
    file = (folder / below).resolve()
    try:
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
    except OSError:  # a name that no file can have
        inside = False
    if not inside:
        raise HTTPException(404)
    headers = {"cache-control": "private, max-age=3600"}
    if box is None:
        return FileResponse(file, media_type=kind, headers=headers)
    try:
        with file.open("rb") as picture:
            crop = cropped(picture.read(BEDROCK_MAX_BODY + 1), box, file.name)
    except (OSError, Refused):
        raise HTTPException(404) from None
    return Response(crop, media_type="image/jpeg" if crop.startswith(b"\xff\xd8") else "image/png", headers=headers)


async def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Refusal)
    return JSONResponse(fault.content, fault.status)


async def _http_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    content = {"error": fault.detail, "hint": "the page is at /", "code": "bad_request"}
    return JSONResponse(content, fault.status_code, headers=fault.headers)


async def _broken(request: Request, fault: Exception) -> Response:
    content = {"error": "the page's server failed", "hint": "see its log", "code": "internal"}
    return JSONResponse(content, 500)
