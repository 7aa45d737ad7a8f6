"""The only HTTP to inference."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from sizeup_gateway.errors import ReplicaUnavailableError, UpstreamError
from sizeup_telemetry import request_id
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event, Failed, Finished, PromptTokens, Started, event_adapter
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.message import RequestModel
from sizeup_wire.model import (
    KeepAliveRequest,
    KeepAliveResponse,
    ModelInfo,
    Stats,
    TokenizeRequest,
    TokenizeResponse,
)

MAX_LINE_BYTES = 8 * 2**20
"""A million token ids of `context` fit; a line that never ends does not fill the memory."""

_UNREACHABLE = "the model's process cannot be reached"
_DOWN = (ErrorCode.NOT_READY, ErrorCode.DRAINING)
"""Codes of a replica that takes no requests."""
_MAX_REFUSAL_BYTES = 64 * 2**10
_KEEP_ALIVE_SECONDS = 30
"""Shorter than the replicas' own, so that an idle connection is seldom closed under a request."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of one request to a replica, in seconds."""

    connect: float
    first_event: float
    """For leaving the queue, and again for the first token, which ends the prefill."""
    between_events: float
    probe: float


@dataclass(frozen=True, slots=True)
class Health:
    """What a replica says of itself."""

    ready: bool
    state: str | None = None
    progress: float | None = None


class InferenceClient:
    """Speak the internal API. Use as an async context manager."""

    def __init__(self, timeouts: Timeouts) -> None:
        """Open nothing yet: the session belongs to the running loop."""
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection pool; how many requests use it is bounded elsewhere."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def generate(self, base_url: str, request: GenerateRequest) -> AsyncGenerator[Event]:
        """Yield the events of one request, the last of them Finished or Failed.

        Before the first event it raises ReplicaUnavailableError when another try may succeed and
        UpstreamError when it may not; afterwards every trouble is a Failed event. Closing the
        generator closes the connection, which cancels the request on the other side.
        """
        seconds = self._timeouts.first_event
        response = await self._post(base_url + routes.GENERATE, request, seconds)
        begun = over = False
        try:
            async with aclosing(_events(response)) as events:
                while not over:
                    event = await _next(events, seconds)
                    if not begun and isinstance(event, Failed):
                        _raise_if_unavailable(event)
                    begun, over = True, isinstance(event, Finished | Failed)
                    if not isinstance(event, Started | PromptTokens):
                        seconds = self._timeouts.between_events
                    yield event
        finally:
            if over:
                response.release()
            else:
                response.close()

    async def tokenize(self, base_url: str, request: TokenizeRequest) -> TokenizeResponse:
        """Turn a prompt into tokens; raise like generate."""
        body = await self._reply(base_url + routes.TOKENIZE, request, self._timeouts.first_event)
        return TokenizeResponse.model_validate_json(body)

    async def reside(self, base_url: str, seconds: float | None) -> KeepAliveResponse:
        """Say how long a model stays, as in KeepAliveRequest; raise like generate."""
        request = KeepAliveRequest(keep_alive_seconds=seconds)
        body = await self._reply(base_url + routes.KEEP_ALIVE, request, self._timeouts.probe)
        return KeepAliveResponse.model_validate_json(body)

    async def health(self, base_url: str) -> Health:
        """Ask a replica whether it takes requests; raise OSError or TimeoutError like aiohttp."""
        async with asyncio.timeout(self._timeouts.probe):
            response = await self._opened.get(base_url + routes.READYZ)
            body = await _whole(response, _MAX_REFUSAL_BYTES)
        return _health(response.status, body)

    async def model(self, base_url: str) -> ModelInfo:
        """Ask a replica what it serves; raise OSError, TimeoutError or ValueError."""
        return ModelInfo.model_validate_json(await self._get(base_url + routes.MODEL))

    async def stats(self, base_url: str) -> Stats:
        """Ask a replica what it does; raise OSError, TimeoutError or ValueError."""
        return Stats.model_validate_json(await self._get(base_url + routes.STATS))

    async def _get(self, url: str) -> bytes:
        async with asyncio.timeout(self._timeouts.probe):
            response = await self._opened.get(url)
            return await _whole(response, MAX_LINE_BYTES)

    async def _reply(self, url: str, request: RequestModel, seconds: float) -> bytes:
        response = await self._post(url, request, seconds)
        try:
            async with asyncio.timeout(seconds):
                return await _whole(response, MAX_LINE_BYTES)
        except TimeoutError as error:
            raise UpstreamError(_late()) from error
        except aiohttp.ClientError as error:
            raise UpstreamError(_lost()) from error

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        return self._session

    async def _post(self, url: str, body: RequestModel, seconds: float) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json"}
        if request_id.current.get():
            headers[request_id.HEADER] = request_id.current.get()
        try:
            async with asyncio.timeout(seconds):
                response = await self._opened.post(url, data=body.to_json(), headers=headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ReplicaUnavailableError(_UNREACHABLE, is_down=True) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ReplicaUnavailableError(_UNREACHABLE) from error
        except TimeoutError as error:
            raise UpstreamError(_late()) from error
        if response.status == 200:
            return response
        raise await _refusal(response)


async def _refusal(response: aiohttp.ClientResponse) -> UpstreamError | ReplicaUnavailableError:
    """Turn a reply other than 200 into an error."""
    try:
        body = await asyncio.wait_for(_whole(response, _MAX_REFUSAL_BYTES), timeout=5.0)
        failure = Failure.model_validate_json(body)
    except (TimeoutError, aiohttp.ClientError, ValueError):
        message = f"inference answered with status {response.status}"
        return UpstreamError(Failure(code=ErrorCode.INTERNAL, message=message))
    if response.status == 503 and failure.code in _DOWN:
        return ReplicaUnavailableError(failure.message, failure.code, is_down=True)
    return UpstreamError(failure)


def _health(status: int, body: bytes) -> Health:
    """Read what /readyz says; a body in no known words is no news."""
    try:
        said = json.loads(body)
        state, progress = said.get("state"), said.get("progress")
    except (ValueError, AttributeError):
        state = progress = None
    return Health(
        ready=status == 200,
        state=state if isinstance(state, str) else None,
        progress=float(progress) if isinstance(progress, int | float) else None,
    )


async def _whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise ValueError("the reply is too long")
    finally:
        response.release()
    return bytes(body)


async def _next(events: AsyncGenerator[Event], seconds: float) -> Event:
    """Wait for the next event; a deadline or the end of the connection is a Failed event."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(events)
    except TimeoutError:
        late = _late()
        return Failed(code=late.code, message=late.message)
    except (StopAsyncIteration, aiohttp.ClientError, OSError):
        lost = _lost()
        return Failed(code=lost.code, message=lost.message)
    except ValueError:
        return Failed(code=ErrorCode.INTERNAL, message="inference sent something unreadable")


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[Event]:
    """Yield one event per line; raise ValueError on a line that is none.

    What follows the last newline was cut with the connection and is no event.
    """
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ValueError("the line is too long")
        for line in lines:
            yield event_adapter.validate_json(line)


def _raise_if_unavailable(first: Failed) -> None:
    """Raise ReplicaUnavailableError for a request that ended in the queue of a replica."""
    if first.code is ErrorCode.UPSTREAM_LOST or first.code in _DOWN:
        raise ReplicaUnavailableError(first.message, first.code, is_down=first.code in _DOWN)


def _lost() -> Failure:
    return Failure(code=ErrorCode.UPSTREAM_LOST, message="the model's process went away")


def _late() -> Failure:
    return Failure(code=ErrorCode.TIMEOUT, message="the model took too long to answer")
