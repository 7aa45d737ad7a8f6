"""Streams in every dialect, from a gateway under attack."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from chaos.deployment import MODEL, Process, key_header

_MESSAGE = [{"role": "user", "content": "x" * 100}]

PATHS = ("/api/chat", "/v1/chat/completions", "/v1/messages")
_ENDS = {
    "/api/chat": b'"done":true',
    "/v1/chat/completions": b"data: [DONE]",
    "/v1/messages": b"message_stop",
}
REFUSED = {"/api/chat": 503, "/v1/chat/completions": 429, "/v1/messages": 529}
"""Status of a request for which there is no place."""


@dataclass(frozen=True, slots=True)
class Response:
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def has_error(self) -> bool:
        """Whether the body or its last object is an error in the shape of the dialect."""
        lines = self.body.replace(b"data: ", b"").splitlines()
        objects = [json.loads(line) for line in lines if line.startswith(b"{")]
        return bool(objects) and "error" in objects[-1]

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and _ENDS[self.path] in self.body and not self.has_error

    @property
    def is_refusal(self) -> bool:
        """Whether it is a refusal for want of a place, in the shape of the dialect."""
        retry_after = int(self.headers.get("Retry-After", "0"))
        return self.status == REFUSED[self.path] and retry_after >= 1 and self.has_error


def body_of(path: str, tokens: int) -> dict[str, Any]:
    """Return a request for a stream of at most so many tokens."""
    fields: dict[str, Any] = {"model": MODEL, "messages": _MESSAGE, "stream": True}
    if path == "/api/chat":
        return fields | {"options": {"num_predict": tokens}}
    return fields | {"max_tokens": tokens}


async def stream(
    http: aiohttp.ClientSession,
    gateway: Process,
    path: str,
    tokens: int,
    key: str | None = None,
    on_first: Callable[[], None] = lambda: None,
) -> Response:
    """Send a request and read its response to the end; `on_first` is called at its first bytes."""
    url, body = gateway.url + path, body_of(path, tokens)
    async with http.post(url, json=body, headers=key_header(key)) as response:
        first = await response.content.readany()
        on_first()
        return Response(
            path, response.status, response.headers, first + await response.content.read()
        )
