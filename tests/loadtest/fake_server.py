"""A server that sends exactly the bytes a test gives it, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any


@dataclass(frozen=True)
class ReceivedRequest:
    """One received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Kill(Exception):
    """Reset the connection."""


Response = Callable[[ReceivedRequest], AsyncIterator[bytes]]


@dataclass
class FakeServer:
    """Replies by path, 404 for any other."""

    responses: dict[str, Response]
    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                async for piece in self.responses.get(request.path, not_found)(request):
                    writer.write(piece)
                    await writer.drain()
            finally:
                self.in_flight -= 1
            writer.close()
        except (Kill, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [request.body for request in self.requests if request.path == path]


async def _read(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    method, path, _ = head[0].split(" ")
    fields = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedRequest(method, path, headers, json.loads(body) if body else {})


@asynccontextmanager
async def fake_server(
    tls: SSLContext | None = None, /, **responses: Response
) -> AsyncIterator[FakeServer]:
    """Serve responses by keyword (chat, ollama, ...) or by path."""
    paths = {_PATHS.get(name, name): response for name, response in responses.items()}
    fake = FakeServer(paths)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=tls)
    fake.url = (
        f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    )
    try:
        yield fake
    finally:
        server.close()


_PATHS = {
    "chat": "/v1/chat/completions",
    "ollama": "/api/chat",
    "models": "/v1/models",
    "tags": "/api/tags",
    "show": "/api/show",
    "ps": "/api/ps",
    "version": "/api/version",
}

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def stream_of(*pieces: bytes) -> Response:
    """Stream these bytes, each in a separate write, and close."""

    async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
        yield STREAM
        for piece in pieces:
            yield piece

    return response


def status(code: int, body: object) -> Response:
    """Respond without streaming."""

    async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        yield f"HTTP/1.1 {code} X\r\nContent-Length: {len(data)}\r\n".encode()
        yield b"Connection: close\r\n\r\n" + data

    return response


not_found = status(404, {"error": {"message": "not found"}})


def sse(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(**fields: object) -> bytes:
    return sse({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


def openai_end(prompt_tokens: int, completion_tokens: int, reason: str = "stop") -> bytes:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    last = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": None})
    return last + sse({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def openai_answer(words: Iterable[str] = ("one", " two", " three")) -> list[bytes]:
    fields = list(words)
    return [*(delta(content=word) for word in fields), openai_end(5, len(fields))]


OLLAMA_ANSWER = (
    line({"message": {"role": "assistant", "content": "one"}, "done": False}),
    line({"message": {"role": "assistant", "content": " two"}, "done": False}),
    line(
        {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": 400_000_000,
            "load_duration": 250_000_000,
            "prompt_eval_count": 7,
            "prompt_eval_duration": 30_000_000,
            "eval_count": 2,
            "eval_duration": 20_000_000,
        }
    ),
)
