"""`sizeup mirror`: the models of a folder as a Hugging Face hub, for pull and other clients.

Every client that can connect may read what the folder contains; nothing can be written.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup.errors import UsageError
from sizeup.mirror.library import MAIN, Library, ModelFile, NotFoundError
from sizeup.ports import require_free, url
from sizeup_telemetry.api_docs import create_app, json_response, serve_api_docs
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.hosts import HostMiddleware
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.serving import Listen, serve

_MAX_IN_FLIGHT = 256
"""Each request has one open file and one chunk in memory; more get 503."""
_DRAIN_SECONDS = 20.0
"""For downloads in flight; interrupted ones are resumed by the client."""
_POINTER_BYTES = 134
"""Size of a git LFS pointer file, a required field that no client uses."""

_OCTETS = "application/octet-stream"

log = logging.getLogger(__name__)

Blobs = Annotated[str, Query(description="`true` adds sizes and digests of the files")]


class ModelSummary(BaseModel):
    """An entry of the model list."""

    id: str
    modelId: str  # the hub's spelling


class LfsBlob(BaseModel):
    """Large-file storage of a file in a model description."""

    sha256: str
    size: int = Field(description="bytes")
    pointerSize: int = _POINTER_BYTES


class Sibling(BaseModel):
    """A file of a model description; size and digests only with `blobs=true`."""

    rfilename: str
    size: int | None = Field(None, description="bytes")
    blobId: str | None = None
    lfs: LfsBlob | None = None


class ModelDescription(BaseModel):
    """A model at one commit."""

    model_config = ConfigDict(populate_by_name=True)

    object_id: str = Field(alias="_id")
    id: str
    modelId: str
    sha: str = Field(description="commit")
    siblings: list[Sibling]


class LfsPointer(BaseModel):
    """Large-file storage of a file in a file tree."""

    oid: str = Field(description="sha256")
    size: int = Field(description="bytes")
    pointerSize: int = _POINTER_BYTES


class TreeEntry(BaseModel):
    """A file of a file tree."""

    type: str = "file"
    path: str
    size: int = Field(description="bytes")
    oid: str
    lfs: LfsPointer | None = None


class HubError(BaseModel):
    """The body of every error; huggingface_hub selects its exception by X-Error-Code."""

    error: str


class Mirror:
    """The hub's routes over a library."""

    def __init__(self, library: Library, drain: Drain) -> None:
        self._library = library
        self._drain = drain

    def app(self, bound_to: str, *, api_docs: bool) -> FastAPI:
        """Create the application for the address that it is bound to."""
        app = create_app(
            self._health_router(),
            self._hub_router(),
            title="sizeup mirror",
            description="Hugging Face models of a folder, read-only, by the API of the hub. "
            "Every route also accepts HEAD.",
            exception_handlers={
                NotFoundError: _not_found,
                HTTPException: _http_error,
                Exception: _internal_error,
            },
        )
        app.add_middleware(InFlightLimit, limit=_MAX_IN_FLIGHT)
        app.add_middleware(HostMiddleware, bound_to=bound_to)
        serve_api_docs(app, enabled=api_docs)
        return app

    def _health_router(self) -> APIRouter:
        router = APIRouter(tags=["health"], default_response_class=PlainTextResponse)
        _add(router, "/livez", _live, "The process runs")
        draining = {503: {"description": "draining", "content": {"text/plain": {}}}}
        _add(router, "/readyz", self._ready, "Accepts requests", responses=draining)
        return router

    def _hub_router(self) -> APIRouter:
        missing = json_response(HubError, "no such model, revision or file")
        overloaded = json_response(HubError, f"more than {_MAX_IN_FLIGHT} requests in flight")
        # "default" also keeps FastAPI from documenting a 422 that no parameter can cause.
        other = json_response(HubError, "any other error")
        router = APIRouter(
            tags=["hub"], responses={404: missing, 503: overloaded, "default": other}
        )
        model = "/api/models/{org}/{name}"
        _add(router, "/api/models", self._list, "List the models")
        _add(router, model, self._describe_main, "Describe revision main")
        _add(router, model + "/revision/{revision:path}", self._describe, "Describe a revision")
        _add(
            router,
            model + "/tree/{rest:path}",
            self._tree,
            "List files",
            description="`rest` is REVISION or REVISION/FOLDER; a slash in a revision is %2F.",
        )
        resolve = {
            "description": "`rest` is REVISION/FILE; a slash in a revision is %2F. The headers "
            "X-Repo-Commit and ETag have commit and digest, X-Linked-Etag and X-Linked-Size those "
            "of large files. Range is supported.",
            "responses": {200: {"description": "the file", "content": {_OCTETS: {}}}},
        }
        path = "/{org}/{name}/resolve/{rest:path}"
        _add(router, path, self._resolve, "Download a file", **resolve)
        return router

    async def _ready(self) -> Response:
        if self._drain.draining:
            return PlainTextResponse("draining", 503)
        return PlainTextResponse("ready")

    async def _list(self) -> list[ModelSummary]:
        ids = await asyncio.to_thread(self._library.ids)
        return [ModelSummary(id=model_id, modelId=model_id) for model_id in ids]

    async def _describe_main(self, org: str, name: str, blobs: Blobs = "") -> ModelDescription:
        return await self._describe(org, name, MAIN, blobs)

    async def _describe(
        self, org: str, name: str, revision: str, blobs: Blobs = ""
    ) -> ModelDescription:
        snapshot = await self._library.snapshot(f"{org}/{name}", revision)
        detailed = blobs.lower() == "true"
        return ModelDescription(
            object_id=snapshot.commit,
            id=snapshot.id,
            modelId=snapshot.id,
            sha=snapshot.commit,
            siblings=[_sibling(file, detailed=detailed) for file in snapshot.files],
        )

    async def _tree(self, request: Request, org: str, name: str, rest: str) -> list[TreeEntry]:
        revision, folder = _split(request, "/tree/")
        snapshot = await self._library.snapshot(f"{org}/{name}", revision)
        below = [f for f in snapshot.files if not folder or f.name.startswith(f"{folder}/")]
        if folder and not below:
            raise NotFoundError("EntryNotFound", f"{folder} does not exist on {revision!r}")
        return [_entry(file) for file in below]

    async def _resolve(self, request: Request, org: str, name: str, rest: str) -> Response:
        revision, filename = _split(request, "/resolve/")
        snapshot = await self._library.snapshot(f"{org}/{name}", revision)
        file = snapshot.file(filename)
        if file is None:
            raise NotFoundError("EntryNotFound", f"{filename} does not exist on {revision!r}")
        headers = {"X-Repo-Commit": snapshot.commit, "ETag": f'"{file.digest}"'}
        if file.is_large:
            headers |= {"X-Linked-Etag": f'"{file.digest}"', "X-Linked-Size": str(file.size)}
        log.info("mirror.file", extra={"model": snapshot.id, "file": filename, "bytes": file.size})
        return StreamedFile(file.path, headers=headers, media_type=_OCTETS)


class StreamedFile(FileResponse):
    """A file as a response, with errors in the shape of the hub."""

    chunk_size = 1 << 20
    """Larger chunks are not faster."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises HTTPException for a range that cannot be served: Starlette sends plain text."""

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                size = Headers(raw=message["headers"]).get("Content-Range")  # of a 416
                headers = None if size is None else {"Content-Range": size}
                raise HTTPException(message["status"], headers=headers)
            await send(message)

        await super().__call__(scope, receive, send_checked)


class InFlightLimit:
    """Pure ASGI middleware: 503 with Retry-After beyond a number of concurrent requests."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._free = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._free <= 0:
            overloaded = JSONResponse({"error": "overloaded"}, 503, headers={"Retry-After": "1"})
            await overloaded(scope, receive, send)
            return
        self._free -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._free += 1


def _add(
    router: APIRouter, path: str, endpoint: Callable[..., Any], summary: str, **documented: Any
) -> None:
    """Add a GET route and its HEAD."""
    router.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        name=endpoint.__name__.strip("_"),
        summary=summary,
        response_model_exclude_none=True,
        **documented,
    )
    router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def _split(request: Request, separator: str) -> tuple[str, str]:
    """Return revision and path: a slash in a revision is encoded, those of a path are not."""
    _, _, rest = request.scope["raw_path"].decode("latin-1").partition(separator)
    revision, _, path = rest.partition("/")
    return unquote(revision), unquote(path)


def _sibling(file: ModelFile, *, detailed: bool) -> Sibling:
    if not detailed:
        return Sibling(rfilename=file.name)
    lfs = LfsBlob(sha256=file.digest, size=file.size) if file.is_large else None
    return Sibling(rfilename=file.name, size=file.size, blobId=_blob_id(file), lfs=lfs)


def _entry(file: ModelFile) -> TreeEntry:
    lfs = LfsPointer(oid=file.digest, size=file.size) if file.is_large else None
    return TreeEntry(path=file.name, size=file.size, oid=_blob_id(file), lfs=lfs)


def _blob_id(file: ModelFile) -> str:
    """Return 40 digits: git's blob id, or the beginning of a large file's sha256."""
    return file.digest[:40]


async def _not_found(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NotFoundError)
    headers = {"X-Error-Code": error.code, "X-Error-Message": _printable(str(error))}
    return JSONResponse({"error": str(error)}, 404, headers=headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _internal_error(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "internal error"}, 500)


def _printable(text: str) -> str:
    """Make text from a client safe for a header: a line break would start another header."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


async def _live() -> Response:
    return PlainTextResponse("alive")


def serve_mirror(folder: Path, host: str, port: int, *, api_docs: bool) -> None:
    """Serve a folder until SIGTERM or Ctrl-C; raises UsageError or PortInUseError."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    require_free(host, port)
    library, drain = Library(folder), Drain()
    ids = library.ids() or ["no models yet"]
    print(f"serving {folder} on {url(host, port)}: {', '.join(ids)}", flush=True)
    configure_logging("info")
    app = Mirror(library, drain).app(host, api_docs=api_docs)
    listen = Listen(host, port, metrics_port=None, drain_seconds=_DRAIN_SECONDS)
    asyncio.run(serve(app, Starlette(), listen, drain))
