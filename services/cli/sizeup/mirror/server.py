"""`sizeup mirror`: the models of a folder as a Hugging Face hub, for pull and for other clients.

Whoever reaches the port may read what the folder holds; nothing can be written through it.
"""

import asyncio
import logging
from pathlib import Path
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup.errors import UsageError
from sizeup.mirror.library import (
    MAIN,
    HeldFile,
    Library,
    NoRepositoryError,
    NoRevisionError,
    Snapshot,
)
from sizeup.ports import require_free
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.serving import Listen, serve

DEFAULT_PORT = 8090
_IN_FLIGHT = 256
"""Each holds one piece of a file and one open file; more are told to come back."""
_PIECE_BYTES = 1 << 20
"""Read at a time: larger pieces do not make it faster."""
_DRAIN_SECONDS = 20.0
"""For downloads under way; one that is cut goes on from where it was, elsewhere or later."""

log = logging.getLogger(__name__)


class NotOnMirrorError(Exception):
    """Answered with 404 in the hub's own shape."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code that huggingface_hub chooses its exception by, and words for people."""
        super().__init__(message)
        self.code = code


class _StreamedFile(FileResponse):
    chunk_size = _PIECE_BYTES


class Mirror:
    """The hub's routes over a library."""

    def __init__(self, library: Library, drain: Drain) -> None:
        """Take what there is to serve."""
        self._library = library
        self._drain = drain

    def app(self) -> ASGIApp:
        """Make the application."""
        model = "/api/models/{org}/{name}"
        routes = [
            Route("/livez", _live),
            Route("/readyz", self._ready),
            Route("/api/models", self._list),
            Route(model, self._describe),
            Route(model + "/revision/{revision:path}", self._describe),
            Route(model + "/tree/{rest:path}", self._tree),
            Route("/{org}/{name}/resolve/{rest:path}", self._resolve),
        ]
        handlers = {NotOnMirrorError: _refused}
        return Bounded(Starlette(routes=routes, exception_handlers=handlers), _IN_FLIGHT)

    async def _ready(self, _request: Request) -> Response:
        if self._drain.draining:
            return PlainTextResponse("draining", 503)
        return PlainTextResponse("ready")

    async def _list(self, _request: Request) -> Response:
        ids = await asyncio.to_thread(self._library.ids)
        return JSONResponse([{"id": model_id, "modelId": model_id} for model_id in ids])

    async def _describe(self, request: Request) -> Response:
        snapshot = await self._snapshot(request, request.path_params.get("revision", MAIN))
        detailed = request.query_params.get("blobs", "").lower() == "true"
        siblings = [_sibling(file, detailed=detailed) for file in snapshot.files]
        named = {"_id": snapshot.commit, "id": snapshot.id, "modelId": snapshot.id}
        return JSONResponse({**named, "sha": snapshot.commit, "siblings": siblings})

    async def _tree(self, request: Request) -> Response:
        revision, folder = _split(request, "/tree/")
        snapshot = await self._snapshot(request, revision)
        below = [f for f in snapshot.files if not folder or f.name.startswith(f"{folder}/")]
        if folder and not below:
            raise NotOnMirrorError("EntryNotFound", f"{folder} does not exist on {revision!r}")
        return JSONResponse([_entry(file) for file in below])

    async def _resolve(self, request: Request) -> Response:
        revision, name = _split(request, "/resolve/")
        snapshot = await self._snapshot(request, revision)
        file = snapshot.file(name)
        if file is None:
            raise NotOnMirrorError("EntryNotFound", f"{name} does not exist on {revision!r}")
        headers = {"X-Repo-Commit": snapshot.commit, "ETag": f'"{file.digest}"'}
        if file.is_large:
            headers |= {"X-Linked-Etag": f'"{file.digest}"', "X-Linked-Size": str(file.size)}
        log.info("mirror.file", extra={"model": snapshot.id, "file": name, "bytes": file.size})
        return _StreamedFile(file.path, headers=headers, media_type="application/octet-stream")

    async def _snapshot(self, request: Request, revision: str) -> Snapshot:
        model_id = f"{request.path_params['org']}/{request.path_params['name']}"
        try:
            return await self._library.snapshot(model_id, revision)
        except NoRepositoryError as error:
            raise NotOnMirrorError("RepoNotFound", f"Repository not found: {model_id}") from error
        except NoRevisionError as error:
            raise NotOnMirrorError("RevisionNotFound", f"Invalid rev id: {revision}") from error


class Bounded:
    """Pure ASGI middleware: beyond a number of requests at a time, 503 and come back."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """Wrap an application."""
        self._app = app
        self._free = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._free <= 0:
            busy = JSONResponse({"error": "busy"}, 503, headers={"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self._free -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._free += 1


def _split(request: Request, word: str) -> tuple[str, str]:
    """Return revision and path: a slash inside a revision is encoded, those of a path are not."""
    _, _, rest = request.scope["raw_path"].decode("latin-1").partition(word)
    revision, _, path = rest.partition("/")
    return unquote(revision), unquote(path)


def _sibling(file: HeldFile, *, detailed: bool) -> dict[str, object]:
    sibling: dict[str, object] = {"rfilename": file.name}
    if detailed:
        sibling |= {"size": file.size, "blobId": _blob_id(file)}
        if file.is_large:
            sibling["lfs"] = {"sha256": file.digest, "size": file.size, "pointerSize": _POINTER}
    return sibling


def _entry(file: HeldFile) -> dict[str, object]:
    entry = {"type": "file", "path": file.name, "size": file.size, "oid": _blob_id(file)}
    if file.is_large:
        entry["lfs"] = {"oid": file.digest, "size": file.size, "pointerSize": _POINTER}
    return entry


_POINTER = 134
"""Bytes of a large file's stand-in in git, which clients want to see and nobody uses."""


def _blob_id(file: HeldFile) -> str:
    """Return 40 digits: git's own, or for a large file as many of its sha256."""
    return file.digest[:40]


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NotOnMirrorError)
    headers = {"X-Error-Code": error.code, "X-Error-Message": _printable(str(error))}
    return JSONResponse({"error": str(error)}, 404, headers=headers)


def _printable(text: str) -> str:
    """Make a header of what a client may have sent: line breaks would be headers of its own."""
    return text.encode("ascii", "replace").decode("ascii").translate(_NO_CONTROLS)


_NO_CONTROLS = dict.fromkeys((*range(32), 127), "?")


async def _live(_request: Request) -> Response:
    return PlainTextResponse("alive")


def mirror(folder: Path, host: str, port: int) -> None:
    """Serve the models below a folder until SIGTERM or Ctrl-C.

    Raises UsageError or PortInUseError.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    require_free(host, port)
    library, drain = Library(folder), Drain()
    ids = library.ids() or ["no model yet"]
    print(f"sizeup mirror of {folder} on http://{host}:{port}: {', '.join(ids)}", flush=True)
    configure_logging("info")
    app = Mirror(library, drain).app()
    asyncio.run(serve(app, _NO_METRICS, Listen(host, port, None, _DRAIN_SECONDS), drain))


_NO_METRICS = Starlette()
