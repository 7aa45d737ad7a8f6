"""Streams of both APIs, read to their end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from cluster.kubectl import Json

_STARTED_CHUNKS = 3
"""Number of chunks after which a stream counts as started."""


class Reader:
    """Reads a stream of one of the two APIs to its end."""

    def __init__(self, path: str, model: str, prompt: str, **fields: Any) -> None:
        """`fields` are further fields of the request."""
        self.path = path
        messages = [{"role": "user", "content": prompt}]
        self._body = {"model": model, "messages": messages, "stream": True, **fields}
        self.started = asyncio.Event()
        self.chunks: list[bytes] = []

    async def read(self, http: aiohttp.ClientSession) -> None:
        async for line in self._lines(http):
            self.chunks.append(line.removeprefix(b"data: "))
            if len(self.chunks) >= _STARTED_CHUNKS:
                self.started.set()

    async def _lines(self, http: aiohttp.ClientSession) -> AsyncIterator[bytes]:
        async with http.post(self.path, json=self._body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.strip():
                    yield line.strip()

    def error(self) -> Json | str | None:
        """Return the error at the end of the stream."""
        found: Json | str | None = self._last().get("error")
        return found

    def is_complete(self) -> bool:
        """Whether the stream ended as its API specifies."""
        if self.path == "/api/chat":
            return self._last().get("done_reason") == "stop"
        finished = self._last().get("choices", [{}])[0].get("finish_reason")
        return finished == "stop" and self.chunks[-1] == b"[DONE]"

    def _last(self) -> Json:
        found: Json = json.loads([chunk for chunk in self.chunks if chunk != b"[DONE]"][-1])
        return found
