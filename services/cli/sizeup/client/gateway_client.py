"""The gateway's Ollama API, as far as the commands need it."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp

from sizeup.errors import (
    BrokenAnswerError,
    GatewayRefusedError,
    GatewayUnreachableError,
    UsageError,
)

_CONNECT_SECONDS = 5.0
"""The gateway is near: on this machine or in this cluster."""
_TAGS_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_LINE_BYTES = 8 << 20
"""Longest line of a stream: the limit Ollama's own client has."""
_SHOWN_CHARACTERS = 200
"""Of an answer that is not understood."""

Answer = dict[str, Any]


class Gateway:
    """One gateway. Belongs to one event loop; see connect."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """Use a session that lives longer than this."""
        self._url = url
        self._session = session

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        """Return a whole answer."""
        async with self._post({**body, "stream": False}) as response:
            return _read(await response.read())

    async def stream_chat(self, body: Mapping[str, Any]) -> AsyncGenerator[Answer, None]:
        """Yield the pieces of an answer; the last has done=true."""
        async with self._post({**body, "stream": True}) as response:
            async for line in response.content:
                piece = _read(line)
                yield piece
                if piece.get("done"):
                    return
        raise BrokenAnswerError("the answer was cut before its end")

    async def served(self) -> list[str]:
        """Return the names of the models it serves."""
        with _translated(self._url):
            async with self._session.get(f"{self._url}/api/tags", timeout=_TAGS_TIMEOUT) as answer:
                body = _read(await answer.read())
        return [str(model.get("name")) for model in body.get("models") or ()]

    @asynccontextmanager
    async def _post(self, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        with _translated(self._url):
            async with self._session.post(f"{self._url}/api/chat", json=body) as response:
                if response.status != HTTPStatus.OK:
                    _read(await response.read())
                    raise GatewayRefusedError(f"{self._url} answered {response.status}")
                yield response


@asynccontextmanager
async def connect(url: str, answer_seconds: float) -> AsyncIterator[Gateway]:
    """Open a gateway; answer_seconds is the longest silence while waiting for an answer."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=answer_seconds
    )
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=_LINE_BYTES) as session:
        yield Gateway(url.rstrip("/"), session)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the client library's errors into ours."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise UsageError(f"{url!r} is no address of a gateway: http://HOST:PORT") from error
    except aiohttp.ClientConnectorError as error:
        raise GatewayUnreachableError(
            f"nobody answers at {url}; start sizeup with `make run` or `sizeup up`"
        ) from error
    except TimeoutError as error:
        raise GatewayUnreachableError(f"{url} did not answer in time") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise BrokenAnswerError(f"the answer of {url} was cut: {error}") from error


def _read(line: bytes) -> Answer:
    """Parse one object; raise GatewayRefusedError when it is an error in Ollama's shape."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        shown = line[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        raise BrokenAnswerError(f"not an answer of sizeup or Ollama: {shown!r}")
    if "error" in answer:
        raise GatewayRefusedError(str(answer["error"]))
    return answer
