"""HTTP client of the gateway's Ollama API."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp

from sizeup.errors import (
    GatewayRefusedError,
    GatewayUnreachableError,
    InvalidResponseError,
    UsageError,
)
from sizeup.settings import Settings

_CONNECT_SECONDS = 5.0
"""The gateway is on this machine or in the same cluster."""
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_LINE_BYTES = 8 << 20
"""Maximum line of a stream: the limit of Ollama's own client."""
MAX_ANSWERS = 64
"""Of a compare, as the gateway limits them."""
_COMPARE_BYTES = MAX_ANSWERS * _LINE_BYTES
"""Maximum compare without streaming: what its lines could have held."""
_SHOWN_CHARACTERS = 200
"""Of a malformed response, in messages."""

Chunk = dict[str, Any]


class Gateway:
    """A connection to one gateway; see connect. Belongs to one event loop."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def chat(self, body: Mapping[str, Any]) -> Chunk:
        """Return the complete response, without streaming."""
        async with self._post("/api/chat", {**body, "stream": False}) as response:
            return _read(await response.read())

    async def stream_chat(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a response; the last has done=true."""
        async with self._post("/api/chat", {**body, "stream": True}) as response:
            async for line in _lines(response.content):
                chunk = _read(line)
                yield chunk
                if chunk.get("done"):
                    return
        raise InvalidResponseError("the stream ended before done=true")

    async def compare(self, body: Mapping[str, Any]) -> Chunk:
        """Return the answers of every size in one object, without streaming."""
        async with self._post("/api/compare", {**body, "stream": False}) as response:
            received = bytearray()
            async for piece in response.content.iter_any():
                received += piece
                if len(received) > _COMPARE_BYTES:
                    raise InvalidResponseError(f"a response of more than {_COMPARE_BYTES} bytes")
            return _read(received)

    async def stream_compare(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the lines of a compare; the last has done=true and `compare`."""
        async with self._post("/api/compare", {**body, "stream": True}) as response:
            async for line in _lines(response.content):
                chunk = _read(line)
                yield chunk
                if chunk.get("done") and "compare" in chunk:
                    return
        raise InvalidResponseError("the stream ended before its last line")

    async def model_names(self) -> list[str]:
        return [str(model.get("name")) for model in await self._list("/api/tags")]

    async def size_names(self) -> list[str]:
        """Return the names of the served sizes, ascending."""
        return [str(model.get("model")) for model in await self._list("/api/sizes")]

    async def _list(self, path: str) -> list[Chunk]:
        with _translated(self._url):
            async with self._session.get(self._url + path, timeout=_LIST_TIMEOUT) as response:
                models = _read(await response.read()).get("models")
                if response.status != HTTPStatus.OK:
                    raise GatewayRefusedError(f"{self._url}{path} returned {response.status}")
        return [model for model in models or () if isinstance(model, dict)]

    @asynccontextmanager
    async def _post(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with _translated(self._url):
            async with self._session.post(self._url + path, json=body) as response:
                if response.status != HTTPStatus.OK:
                    _read(await response.read())
                    raise GatewayRefusedError(f"{self._url} returned {response.status}")
                yield response


@asynccontextmanager
async def connect(url: str, response_seconds: float) -> AsyncIterator[Gateway]:
    """Open a client with the API key of the settings; response_seconds is the longest silence."""
    key = Settings().api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=response_seconds
    )
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield Gateway(url.rstrip("/"), session)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise UsageError(f"{url!r} is not a gateway URL: http://HOST:PORT") from error
    except aiohttp.ClientConnectorError as error:
        raise GatewayUnreachableError(
            f"cannot connect to {url}; start sizeup with `make run` or `sizeup up`"
        ) from error
    except TimeoutError as error:
        raise GatewayUnreachableError(f"no response from {url} in time") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise InvalidResponseError(f"incomplete response from {url}: {error}") from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; raise InvalidResponseError for one above _LINE_BYTES."""
    line = bytearray()
    async for piece in content.iter_any():
        *ends, rest = piece.split(b"\n")
        for end in ends:
            line += end
            yield bytes(line)
            line.clear()
        line += rest
        if len(line) > _LINE_BYTES:
            raise InvalidResponseError(f"a line of more than {_LINE_BYTES} bytes in the stream")
    if line:
        yield bytes(line)


def _read(line: bytes | bytearray) -> Chunk:
    """Parse one object; raise GatewayRefusedError for an error in Ollama's format."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        shown = line[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        raise InvalidResponseError(f"not a response of sizeup or Ollama: {shown!r}")
    if "error" in value:
        raise GatewayRefusedError(str(value["error"]))
    return value
