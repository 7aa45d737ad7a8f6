"""Sends one request over HTTP, times it, and classifies every failure.

Bytes are timestamped when they are read and parsed afterwards; timestamps are of the run's clock.
"""

import asyncio
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Self

import aiohttp

from sizeup_loadtest.client import adaptation
from sizeup_loadtest.client.error_response import (
    ErrorResponse,
    connection_error,
    error_response,
    not_a_stream,
)
from sizeup_loadtest.client.ollama import Ollama
from sizeup_loadtest.client.openai import OpenAi
from sizeup_loadtest.client.response import (
    MalformedResponseError,
    StreamedResponse,
    merged,
    shorten,
)
from sizeup_loadtest.client.retry import RetryPolicy
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api, Counted, Outcome, PlannedRequest, Record
from sizeup_loadtest.workload.prompt import Prompt

READ_BUFFER_BYTES = 1 << 20
"""Per connection; aiohttp's default of 64 KiB pauses a fast stream, which would be measured."""

KEEP_ALIVE_SECONDS = 3.0
"""Below the idle timeout of servers (uvicorn: 5 s), because a request on a closed connection is
lost."""

MAX_RESPONSE_BYTES = 64 << 20

HEAD_BYTES = 1024
"""Of a response that is quoted when it is not a stream."""

APIS: Mapping[Api, type[OpenAi | Ollama]] = {"openai": OpenAi, "ollama": Ollama}

CLIENT_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL})
"""No file descriptor or no port left on this machine."""


@dataclass(frozen=True, slots=True)
class Request:
    stage: str
    planned: PlannedRequest
    prompt: Prompt
    scheduled_ns: int
    keep_text: bool = False


@dataclass(slots=True)
class Client:
    """Sends any number of concurrent requests to the servers of the models.

    An async context manager.
    """

    servers: dict[str, Server]
    """By the name of the model in the plan."""
    sampling: Sampling
    clock: Callable[[], int]
    retry: RetryPolicy = field(default_factory=RetryPolicy, kw_only=True)
    _random: Random = field(default_factory=Random)
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open an unlimited connection pool: waiting for a connection would count as latency."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=READ_BUFFER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; twice is allowed."""
        await self.session.close()
        await asyncio.sleep(0)  # asyncio closes their sockets in its next iteration

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session, for requests that are not measured."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        return self._session

    async def send(self, request: Request) -> Record:
        """Send one request and read its response; never raises for a fault of the server.

        A request that is refused for load waits and is sent again (`RetryPolicy`).
        """
        server = self.servers[request.planned.model]
        return self._record(request, await self._retried(request, server))

    async def send_adapted(self, request: Request) -> Record:
        """Send a request without the parameters that its server refuses, and remember them.

        What was dropped is kept only if the server then accepts the request.
        """
        model = request.planned.model
        server: Server | None = self.servers[model]
        while server is not None:
            attempt = await self._retried(request, server)
            if attempt.outcome is Outcome.OK:
                self.servers[model] = server
            server = adaptation.without(server, attempt.refused) if attempt.refused else None
        return self._record(request, attempt)

    async def _retried(self, request: Request, server: Server) -> "_Attempt":
        sent = begun = self.clock()
        deadline, retries = begun + server.timeout_seconds * 1e9, 0
        while True:
            attempt = await self._try(request, server, sent, deadline)
            attempt.retries, attempt.waited_ns = retries, sent - begun
            if (refused := attempt.refused) is None:
                return attempt
            delay = self.retry.delay(refused.status, refused.retry_after, retries, self._random)
            if delay is None or self.clock() + delay * 1e9 >= deadline:
                return attempt
            await asyncio.sleep(delay)
            sent, retries = self.clock(), retries + 1

    async def _try(
        self, request: Request, server: Server, sent_ns: int, deadline: float
    ) -> "_Attempt":
        attempt = _Attempt(server.api, APIS[server.api](), sent_ns)
        try:
            async with asyncio.timeout((deadline - sent_ns) / 1e9):
                outcome, error = await self._exchange(request, server, attempt)
        except TimeoutError:
            outcome = Outcome.TIMEOUT
            error = f"not complete within {server.timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError) as lost:
            own = isinstance(lost, OSError) and lost.errno in CLIENT_FAULTS
            outcome = Outcome.CLIENT if own else Outcome.DISCONNECTED
            error = connection_error(lost)
        attempt.outcome, attempt.error = outcome, error
        return attempt

    async def _exchange(
        self, request: Request, server: Server, attempt: "_Attempt"
    ) -> tuple[Outcome, str]:
        body = {
            "model": server.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.prompt.messages],
            "stream": True,
            **attempt.reader.parameters(request.planned, self.sampling, server),
        }
        async with self.session.post(
            server.url + attempt.reader.path,
            json=merged(body, server.extra_body),
            headers=server.request_headers,
            ssl=server.ssl,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                attempt.refused = refused = await error_response(response)
                return refused.outcome, refused.message
            return await self._read(response, attempt)

    async def _read(
        self, response: aiohttp.ClientResponse, attempt: "_Attempt"
    ) -> tuple[Outcome, str]:
        """Read a stream to its end."""
        reader, head, read = attempt.reader, b"", 0
        try:
            while data := await response.content.readany():
                if not reader.response.is_stream:
                    head = (head + data)[:HEAD_BYTES]
                reader.feed(data, self.clock())
                read += len(data)
                if read > MAX_RESPONSE_BYTES:
                    return Outcome.FAILED, f"the response exceeds {MAX_RESPONSE_BYTES} bytes"
            reader.end(self.clock())
        except MalformedResponseError as malformed:
            if reader.response.is_stream:
                return Outcome.FAILED, shorten(str(malformed))
        if not reader.response.is_stream:
            content_type = response.headers.get("Content-Type", "")
            return Outcome.FAILED, not_a_stream(reader.stream, content_type, head)
        return _outcome(reader.response)

    def _record(self, request: Request, attempt: "_Attempt") -> Record:
        response = attempt.reader.response
        tokens, counted_by = _count_tokens(request.planned, response)
        return Record(
            stage=request.stage,
            planned=request.planned,
            api=attempt.api,
            scheduled_ns=request.scheduled_ns,
            sent_ns=attempt.sent_ns,
            ended_ns=self.clock(),
            chunk_ns=tuple(response.chunk_ns),
            prompt_tokens=response.prompt_tokens,
            completion_tokens=tokens,
            counted_by=counted_by,
            outcome=attempt.outcome,
            error=attempt.error,
            finish_reason=response.finish_reason,
            text="".join(response.text) if request.keep_text else "",
            server=response.server,
            prompt_words=sum(len(m.content.split()) for m in request.prompt.messages),
            finished_ns=response.finished_ns,
            cached_tokens=response.cached_tokens,
            answer_ns=response.answer_ns,
            first_tokens=response.first_tokens,
            retries=attempt.retries,
            waited_ns=attempt.waited_ns,
        )


@dataclass(slots=True)
class _Attempt:
    api: Api
    reader: OpenAi | Ollama
    sent_ns: int
    outcome: Outcome = Outcome.OK
    error: str = ""
    refused: ErrorResponse | None = None
    retries: int = 0
    waited_ns: int = 0


def _count_tokens(
    planned: PlannedRequest, response: StreamedResponse
) -> tuple[int | None, Counted | None]:
    """Return the tokens of the usage, else the fixed length that was reached, else the chunks."""
    if response.completion_tokens is not None:
        return response.completion_tokens, "usage"
    if planned.length == "fixed" and response.finish_reason == "length":
        return planned.max_tokens, "length"
    return (len(response.chunk_ns), "chunks") if response.chunk_ns else (None, None)


def _outcome(response: StreamedResponse) -> tuple[Outcome, str]:
    """Classify a stream that was read to its end."""
    if response.error:
        return Outcome.FAILED, response.error
    if not response.complete:
        return Outcome.TRUNCATED, "the stream ended without its final event"
    return Outcome.OK, ""
