"""A loopback server with the API of the Hugging Face Hub, and failure modes.

The hub serves the API and redirects weight files to a store on another port, like the real one. It
runs in its own thread, so that blocking code and other processes can use it.
"""

import asyncio
import contextlib
import hashlib
import json
import random
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum, auto

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL_ID = "Qwen/Tiny"
WEIGHTS = "model.safetensors"
_HTML = "<!doctype html><html><body>We will be back soon</body></html>"


class Mode(StrEnum):
    """The behaviour for weight files, or for all requests where stated."""

    OK = auto()
    FLIPPED_BYTE = auto()
    TRUNCATED = auto()
    """One byte less, with that Content-Length."""
    SHORT_BODY = auto()
    """The Content-Length is right, but the connection is closed earlier."""
    LYING_LENGTH = auto()
    """The Content-Length is larger than the file."""
    ENDLESS = auto()
    """No Content-Length, and more bytes than the file has."""
    WRONG_SIZE = auto()
    """The API reports another size with the same digest."""
    HUGE = auto()
    """The API reports a size larger than any disk."""
    HTML = auto()
    API_HTML = auto()
    API_NOT_FOUND = auto()
    NOT_FOUND = auto()
    FORBIDDEN = auto()
    """Every request without a token."""
    UNAVAILABLE_TWICE = auto()
    """Each path returns `busy_status` twice, then succeeds."""
    UNAVAILABLE = auto()
    """All requests get `busy_status`."""
    SILENT = auto()
    """All requests are accepted without a response."""
    REDIRECT_LOOP = auto()
    STORE_LOOP = auto()
    """The store redirects to itself, with a secret in the query."""
    STORE_NOWHERE = auto()
    """The store redirects without a Location."""
    PLAIN_API = auto()
    """The API omits sizes and digests, like some mirrors: HEAD has them."""
    MOVED = auto()
    """Like PLAIN_API, and small files are redirected by a Location without a host."""
    NO_RANGES = auto()
    """Range headers are ignored."""
    TRICKLE = auto()
    """A byte of a weight file every tenth of a second."""
    HALF_THEN_HOLD = auto()
    """Half of a weight file is sent, the rest after `release` is set."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A received request."""

    server: str
    """hub or store."""
    method: str
    path: str
    authorization: str | None
    range: str | None


@dataclass
class HubServer:
    """The served files, the behaviour, and the received requests."""

    files: Mapping[str, bytes]
    mode: Mode = Mode.OK
    prefix: str = ""
    """Path of the endpoint."""
    url: str = ""
    store_url: str = ""
    seen: list[Seen] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    refusal: tuple[int, Mapping[str, str]] | None = None
    """Status and headers of the hub's response to every request for a file."""
    busy_status: int = 503
    busy_headers: Mapping[str, str] = field(default_factory=dict)
    """Of the responses of UNAVAILABLE and UNAVAILABLE_TWICE."""
    _failures: dict[str, int] = field(default_factory=dict)

    def hub_app(self) -> web.Application:
        """Return the application of the hub."""
        app = web.Application(middlewares=[self._faults("hub")])
        app.router.add_get(self.prefix + "/api/models/{id:.+}/revision/{revision}", self._api)
        app.router.add_route(
            "*", self.prefix + "/{org}/{name}/resolve/{revision}/{file:.+}", self._resolve
        )
        return app

    def store_app(self) -> web.Application:
        """Return the application that stores large files, on another port."""
        app = web.Application(middlewares=[self._faults("store")])
        app.router.add_get("/lfs/{file}", self._stored)
        return app

    def _faults(self, server: str) -> Middleware:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = request.headers
            self.seen.append(
                Seen(
                    server,
                    request.method,
                    request.path,
                    headers.get("Authorization"),
                    headers.get("Range"),
                )
            )
            return await self._fault(request) or await handler(request)

        return middleware

    async def _fault(self, request: web.Request) -> web.StreamResponse | None:
        failed = self._failures.get(request.path, 0)
        if self.mode is Mode.UNAVAILABLE or (self.mode is Mode.UNAVAILABLE_TWICE and failed < 2):
            self._failures[request.path] = failed + 1
            return web.Response(status=self.busy_status, headers=self.busy_headers, text="busy")
        if self.mode is Mode.SILENT:
            await self._held()
        if self.mode is Mode.FORBIDDEN and "Authorization" not in request.headers:
            return web.Response(status=401, text="token needed")
        return None

    async def _api(self, request: web.Request) -> web.Response:
        if self.mode is Mode.API_HTML:
            return web.Response(text=_HTML, content_type="text/html")
        if self.mode is Mode.API_NOT_FOUND or request.match_info["id"] != MODEL_ID:
            return web.json_response({"error": "Repository not found"}, status=404)
        detailed = request.query.get("blobs") == "true" and self.mode not in (
            Mode.PLAIN_API,
            Mode.MOVED,
        )
        siblings = [self._sibling(name, detailed=detailed) for name in self.files]
        return web.json_response({"id": MODEL_ID, "sha": COMMIT, "siblings": siblings})

    def _sibling(self, name: str, *, detailed: bool) -> dict[str, object]:
        sibling: dict[str, object] = {"rfilename": name}
        if detailed:
            size = self._reported_size(name)
            sibling |= {"size": size, "blobId": git_blob_id(self.files[name])}
            if is_large(name):
                sibling["lfs"] = {
                    "sha256": sha256(self.files[name]),
                    "size": size,
                    "pointerSize": 134,
                }
        return sibling

    def _reported_size(self, name: str) -> int:
        size = len(self.files[name])
        if is_large(name) and self.mode is Mode.WRONG_SIZE:
            return size + 7
        return 10**16 if is_large(name) and self.mode is Mode.HUGE else size

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        if self.refusal is not None:
            return web.Response(status=self.refusal[0], headers=self.refusal[1])
        if name not in self.files or (is_large(name) and self.mode is Mode.NOT_FOUND):
            return web.Response(status=404, text="Entry not found")
        content = self.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git_blob_id(content)}"'}
        if not is_large(name) and self.mode is Mode.MOVED and request.query_string != "moved":
            return web.Response(status=307, headers={"Location": f"{request.path}?moved"})
        if not is_large(name):
            return web.Response(body=content, headers=headers)
        loops = self.mode is Mode.REDIRECT_LOOP
        headers |= {
            "X-Linked-Etag": f'"{sha256(content)}"',
            "X-Linked-Size": str(len(content)),
            "Location": str(request.url)
            if loops
            else f"{self.store_url}/lfs/{name}?Signature=a%2Bb",
        }
        return web.Response(status=302, headers=headers)

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        content = self._content(self.files[request.match_info["file"]])
        if request.query.get("Signature") != "a+b":
            return web.Response(status=403, text="the redirect's query was changed")
        if self.mode in (Mode.STORE_LOOP, Mode.STORE_NOWHERE):
            location = {"Location": str(request.url)} if self.mode is Mode.STORE_LOOP else {}
            return web.Response(status=302, headers=location)
        if self.mode is Mode.HTML:
            return web.Response(text=_HTML, content_type="text/html")
        if self.mode is Mode.ENDLESS:
            return await self._send(request, content + b"more", None)
        if self.mode is Mode.LYING_LENGTH:
            return await self._send(request, content, len(content) + 100)
        if self.mode is Mode.TRICKLE:
            return await self._trickle(request, content)
        if self.mode is Mode.SHORT_BODY:
            return await self._send(request, content[: len(content) // 2], len(content))
        return await self._ranged(request, content)

    def _content(self, content: bytes) -> bytes:
        if self.mode is Mode.TRUNCATED:
            return content[:-1]
        if self.mode is Mode.FLIPPED_BYTE:
            return content[:-1] + bytes((content[-1] ^ 1,))
        return content

    async def _ranged(self, request: web.Request, content: bytes) -> web.StreamResponse:
        requested = request.http_range.start
        start = requested if requested and self.mode is not Mode.NO_RANGES else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        response = web.StreamResponse(
            status=206 if start else 200, headers=headers if start else None
        )
        response.content_length = len(content) - start
        await response.prepare(request)
        rest = content[start:]
        if self.mode is Mode.HALF_THEN_HOLD:
            await response.write(rest[: len(rest) // 2])
            await self._held()
            rest = rest[len(rest) // 2 :]
        await response.write(rest)
        return response

    async def _send(
        self, request: web.Request, content: bytes, length: int | None
    ) -> web.StreamResponse:
        """Send bytes with a given Content-Length, and close the connection."""
        response = web.StreamResponse()
        response.content_length = length
        response.force_close()
        await response.prepare(request)
        await response.write(content)
        if request.transport:
            request.transport.close()
        return response

    async def _trickle(self, request: web.Request, content: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(content)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self.release.is_set():
                await response.write(content[:1])
                await asyncio.sleep(0.1)
        return response

    async def _held(self) -> None:
        await asyncio.to_thread(self.release.wait, 30)  # a guard; tests release it earlier


def is_large(name: str) -> bool:
    """Return whether a file is in large-file storage, under its sha256."""
    return name.endswith(".safetensors")


def sha256(content: bytes) -> str:
    """Return the digest of a large file."""
    return hashlib.sha256(content).hexdigest()


def git_blob_id(content: bytes) -> str:
    """Return the digest of a small file."""
    return hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()


def safetensors_bytes(size: int = 300_000, seed: int = 1) -> bytes:
    """Return a valid weight file with this many bytes of data."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weight": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(size)


def tiny_model() -> dict[str, bytes]:
    """Return the files of a repository, including ones that must not be downloaded."""
    return {
        "config.json": b'{"model_type": "qwen2"}',
        "tokenizer.json": b'{"version": "1.0"}',
        "LICENSE": b"Apache License",
        "README.md": b"# Tiny",
        "modeling_tiny.py": b"raise SystemExit('code of the repository ran')",
        "pytorch_model.bin": b"pickle",
        WEIGHTS: safetensors_bytes(),
    }


@contextmanager
def running_hub(
    files: Mapping[str, bytes] | None = None, prefix: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[HubServer]:
    """Serve files during the block."""
    hub = HubServer(tiny_model() if files is None else files, prefix=prefix, tls=tls)
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(hub, started, stop)))
    thread.start()
    try:
        assert started.wait(10), "the hub did not start"
        yield hub
    finally:
        hub.release.set()
        stop.set()
        thread.join(20)


async def _serve(hub: HubServer, started: threading.Event, stop: threading.Event) -> None:
    runners = [web.AppRunner(app, shutdown_timeout=1.0) for app in (hub.hub_app(), hub.store_app())]
    urls = []
    try:
        for runner in runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=hub.tls).start()
            scheme = "https" if hub.tls else "http"
            urls.append(f"{scheme}://127.0.0.1:{runner.addresses[0][1]}")
        hub.url, hub.store_url = urls[0] + hub.prefix, urls[1]
        started.set()
        await asyncio.to_thread(stop.wait)
    finally:
        for runner in runners:
            await runner.cleanup()
