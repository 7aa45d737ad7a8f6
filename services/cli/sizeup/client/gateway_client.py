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

_CONNECT_SECONDS = 5.0
"""The gateway is on this machine or in the same cluster."""
_TAGS_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_LINE_BYTES = 8 << 20
"""Maximum line of a stream: the limit of Ollama's own client."""
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
        async with self._post({**body, "stream": False}) as response:
            return _read(await response.read())

    async def stream_chat(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a response; the last has done=true."""
        async with self._post({**body, "stream": True}) as response:
            async for line in response.content:
                chunk = _read(line)
                yield chunk
                if chunk.get("done"):
                    return
        raise InvalidResponseError("the stream ended before done=true")

    async def model_names(self) -> list[str]:
        with _translated(self._url):
            async with self._session.get(
                f"{self._url}/api/tags", timeout=_TAGS_TIMEOUT
            ) as response:
                body = _read(await response.read())
        return [str(model.get("name")) for model in body.get("models") or ()]

    @asynccontextmanager
    async def _post(self, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        with _translated(self._url):
            async with self._session.post(f"{self._url}/api/chat", json=body) as response:
                if response.status != HTTPStatus.OK:
                    _read(await response.read())
                    raise GatewayRefusedError(f"{self._url} returned {response.status}")
                yield response


@asynccontextmanager
async def connect(url: str, response_seconds: float) -> AsyncIterator[Gateway]:
    """Open a client; response_seconds is the longest silence while waiting for a response."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=response_seconds
    )
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=_LINE_BYTES) as session:
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


def _read(line: bytes) -> Chunk:
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
