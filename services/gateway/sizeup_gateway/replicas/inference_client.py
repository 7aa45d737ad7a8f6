"""HTTP client of inference's internal API."""

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self
from weakref import WeakValueDictionary

import aiohttp
from pydantic import TypeAdapter

from sizeup_gateway.errors import ReplicaUnavailableError, UpstreamError
from sizeup_gateway.replicas.event_stream import (
    HUNG,
    LOST,
    MAX_LINE_BYTES,
    TIMEOUT,
    EventStream,
    EventT,
)
from sizeup_gateway.replicas.health import Health, health_of
from sizeup_gateway.replicas.link import Link
from sizeup_telemetry import request_id
from sizeup_telemetry.drain import expire_now
from sizeup_telemetry.tracing.spans import ClientSpans, no_client_spans
from sizeup_wire import routes
from sizeup_wire.embeddings import Embedding, EmbedEvent, EmbedRequest, embed_event_adapter
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

_log = logging.getLogger(__name__)

_UNREACHABLE = "cannot connect to the inference process"
_DOWN = (ErrorCode.NOT_READY, ErrorCode.DRAINING)
"""Codes of a replica that accepts no requests."""

_OWN_ERRNOS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
"""Of connections that fail for want of the gateway's own descriptors, memory or local ports."""

_MAX_ERROR_BYTES = 64 * 2**10
_MAX_DETAILS_BYTES = 32 * 2**20
"""A vocabulary of 150,000 tokens takes 5 MB, the tensors of a mixture of experts 4 MB."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
_KEEP_ALIVE_SECONDS = 30
"""Shorter than the replicas' own timeout, so that they seldom close a connection in use."""


_NOT_OF_THE_OUTPUT: Mapping[str, object] = {"stream_tool_calls": False, "client": None}
"""Fields that change when an output is computed and sent, and not the output, and their defaults:
it is requested again without them where a replica of an older release rejects one."""


@dataclass(eq=False)
class InferenceClient:
    """Client of the internal API, an async context manager. Its time limits are in seconds."""

    connect: float
    first_event: float
    """In the queue, and again for each prefill, which ends with the first token or a vector."""
    between_events: float
    probe: float
    client_spans: ClientSpans = no_client_spans
    _links: WeakValueDictionary[str, Link] = field(default_factory=WeakValueDictionary, init=False)

    async def __aenter__(self) -> Self:
        """Open the connection pool; its size is bounded by the limit of concurrent requests."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def link(self, base_url: str) -> Link:
        """Return the requests to a replica: the same object as long as anyone holds it."""
        return self._links.setdefault(base_url, Link())

    def generate(
        self,
        base_url: str,
        request: GenerateRequest,
        on_accepted: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Sequence[Event]]:
        """Yield the events of one request, the last of them Finished or Failed.

        `on_accepted` is called when inference has validated and queued the request.

        Before the first event, raises ReplicaUnavailableError if a retry may succeed and
        UpstreamError if not; afterwards every error is a Failed event. Closing the generator
        closes the connection, which cancels the request in the inference process.
        """
        link, url = self.link(base_url), base_url + routes.GENERATE
        return self._stream(link, url, request, event_adapter, on_accepted, restarts=False)

    def embed(self, base_url: str, request: EmbedRequest) -> AsyncGenerator[Sequence[EmbedEvent]]:
        """Yield the events of a batch like `generate`.

        ReplicaUnavailableError is raised after the first event too: the client has received
        nothing, so that the batch may start over on another replica.
        """
        link, url = self.link(base_url), base_url + routes.EMBEDDINGS
        return self._stream(link, url, request, embed_event_adapter, lambda: None, restarts=True)

    async def _stream(
        self,
        link: Link,
        url: str,
        request: RequestModel,
        adapter: TypeAdapter[EventT],
        on_accepted: Callable[[], None],
        *,
        restarts: bool,
    ) -> AsyncGenerator[Sequence[EventT | Failed]]:
        seconds = self.first_event
        with self.client_spans(url) as span:
            response = await self._post_in_its_form(link, url, request, span.headers)
            on_accepted()
            started = ended = False
            stream = EventStream(response.content, adapter, link)
            try:
                with link.interruptible(stream.interrupt):
                    while not ended:
                        events = await stream.read(seconds)
                        last = events[-1]
                        if isinstance(last, Failed) and (restarts or not (started or events[:-1])):
                            _raise_if_unavailable(last)
                        started, ended = True, isinstance(last, Finished | Failed)
                        if ended:
                            span.end(last.code if isinstance(last, Failed) else None)
                        if not isinstance(last, Started | PromptTokens | Embedding):
                            seconds = self.between_events
                        yield events
            finally:
                stream.close()
                if ended:
                    response.release()
                else:
                    response.close()

    async def _post_in_its_form(
        self, link: Link, url: str, request: RequestModel, trace: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a request without the fields that a replica of an older release has rejected."""
        if not link.is_older:
            try:
                return await self._post(link, url, request, self.first_event, trace)
            except UpstreamError as error:
                if error.param not in _NOT_OF_THE_OUTPUT:
                    raise
            link.is_older = True
        return await self._post(link, url, _in_older_form(request), self.first_event, trace)

    async def tokenize(self, base_url: str, request: TokenizeRequest) -> TokenizeResponse:
        """Tokenize a prompt; raises like `generate`."""
        body = await self._post_and_read(base_url, routes.TOKENIZE, request, self.first_event)
        return TokenizeResponse.model_validate_json(body)

    async def set_keep_alive(self, base_url: str, seconds: float | None) -> KeepAliveResponse:
        """Set the keep-alive time, as in KeepAliveRequest; raises like `generate`."""
        request = KeepAliveRequest(keep_alive_seconds=seconds)
        body = await self._post_and_read(base_url, routes.KEEP_ALIVE, request, self.probe)
        return KeepAliveResponse.model_validate_json(body)

    async def health(self, base_url: str) -> Health:
        """Probe readiness; raises OSError, as aiohttp does. The caller limits the time."""
        url = base_url + routes.READYZ
        response = await self._session.get(url, timeout=_NO_TIMEOUT)
        body = await _read_all(response, _MAX_ERROR_BYTES)
        return health_of(response.status, body)

    async def model(self, base_url: str) -> ModelInfo:
        """Describe the model, loaded or not; raises OSError, TimeoutError or ValueError.

        ValueError as well if the replica has not read the files yet.
        """
        return ModelInfo.model_validate_json(await self._get(base_url + routes.MODEL))

    async def model_details(self, base_url: str) -> Sequence[bytes] | None:
        """Return the JSON arrays of routes.MODEL_DETAILS; None if the replica has none."""
        url = base_url + routes.MODEL_DETAILS
        try:
            async with asyncio.timeout(self.first_event) as deadline:
                with self.link(base_url).interruptible(partial(expire_now, deadline)):
                    response = await self._session.get(url)
                    body = await _read_all(response, _MAX_DETAILS_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.warning("replica.no_details", extra={"url": url, "error": repr(error)})
            return None
        lines = body.split(b"\n")
        return lines[:4] if response.status == 200 and len(lines) > 4 else None

    async def stats(self, base_url: str) -> Stats:
        """Read the current statistics; raises OSError, TimeoutError or ValueError."""
        return Stats.model_validate_json(await self._get(base_url + routes.STATS))

    async def _get(self, url: str) -> bytes:
        async with asyncio.timeout(self.probe):
            response = await self._session.get(url)
            return await _read_all(response, MAX_LINE_BYTES)

    async def _post_and_read(
        self, base_url: str, path: str, request: RequestModel, seconds: float
    ) -> bytes:
        link, url = self.link(base_url), base_url + path
        with self.client_spans(url) as span:
            response = await self._post(link, url, request, seconds, span.headers)
            try:
                async with asyncio.timeout(seconds) as deadline:
                    with link.interruptible(partial(expire_now, deadline)):
                        return await _read_all(response, MAX_LINE_BYTES)
            except TimeoutError as error:
                raise UpstreamError(TIMEOUT.code, TIMEOUT.message) from error
            except aiohttp.ClientError as error:
                raise UpstreamError(LOST.code, LOST.message) from error

    async def _post(
        self, link: Link, url: str, body: RequestModel, seconds: float, trace: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a request; `trace` are the headers of its trace context."""
        headers = {"Content-Type": "application/json", **trace}
        if request_id.current.get():
            headers[request_id.HEADER] = request_id.current.get()
        interruptions = link.interruptions
        try:
            async with asyncio.timeout(seconds) as deadline:
                with link.interruptible(partial(expire_now, deadline)):
                    response = await self._session.post(url, data=body.to_json(), headers=headers)
        except aiohttp.ClientConnectorError as error:
            is_down = not is_own_fault(error)
            raise ReplicaUnavailableError(_UNREACHABLE, is_down=is_down) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ReplicaUnavailableError(_UNREACHABLE) from error
        except TimeoutError as error:
            if link.interruptions != interruptions:
                raise ReplicaUnavailableError(HUNG.message, HUNG.code, is_hung=True) from error
            raise UpstreamError(TIMEOUT.code, TIMEOUT.message) from error
        if response.status == 200:
            return response
        raise await _error_of(response)


def is_own_fault(error: aiohttp.ClientConnectorError) -> bool:
    """Whether a connection failed before the replica could have refused it."""
    return error.os_error.errno in _OWN_ERRNOS


def _in_older_form(request: RequestModel) -> RequestModel:
    fields = type(request).model_fields
    return request.model_copy(
        update={name: value for name, value in _NOT_OF_THE_OUTPUT.items() if name in fields}
    )


async def _error_of(response: aiohttp.ClientResponse) -> UpstreamError | ReplicaUnavailableError:
    """Convert a response other than 200 to an exception."""
    try:
        body = await asyncio.wait_for(_read_all(response, _MAX_ERROR_BYTES), timeout=5.0)
        failure = Failure.model_validate_json(body)
    except (TimeoutError, aiohttp.ClientError, ValueError):
        message = f"inference responded with status {response.status}"
        return UpstreamError(ErrorCode.INTERNAL, message)
    if response.status == 503 and failure.code in _DOWN:
        return ReplicaUnavailableError(failure.message, failure.code, is_down=True)
    return UpstreamError(failure.code, failure.message, failure.param)


async def _read_all(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise ValueError("the response is too long")
    finally:
        response.release()
    return bytes(body)


def _raise_if_unavailable(first: Failed) -> None:
    """Raise ReplicaUnavailableError if the request failed in the queue of the replica."""
    if first.code is ErrorCode.UPSTREAM_LOST or first.code in _DOWN:
        is_down, is_hung = first.code in _DOWN, first is HUNG
        raise ReplicaUnavailableError(first.message, first.code, is_down=is_down, is_hung=is_hung)
