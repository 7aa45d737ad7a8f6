"""Sends one request over HTTP, times it, and classifies every failure.

Bytes are timestamped when they are read and parsed afterwards; timestamps are of the run's clock.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import aiohttp

from sizeup_loadtest.client.error_response import error_response
from sizeup_loadtest.client.ollama import Ollama
from sizeup_loadtest.client.openai import OpenAi
from sizeup_loadtest.client.response import (
    Dialect,
    MalformedResponseError,
    ResponseReader,
    StreamedResponse,
    shorten,
)
from sizeup_loadtest.config.schema import Sampling, Target
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.workload.prompt import Prompt

READ_BUFFER_BYTES = 1 << 20
"""Per connection; aiohttp's default of 64 KiB pauses a fast stream, which would be measured."""

KEEP_ALIVE_SECONDS = 3.0
"""Below the idle timeout of servers (uvicorn: 5 s), because a request on a closed connection is
lost."""

MAX_RESPONSE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request that is due."""

    stage: str
    planned: PlannedRequest
    prompt: Prompt
    scheduled_ns: int
    keep_text: bool = False


class Client:
    """Sends any number of concurrent requests to one server. An async context manager."""

    def __init__(
        self,
        target: Target,
        sampling: Sampling,
        clock: Callable[[], int],
        *,
        key: str | None = None,
        shard: int = 0,
    ) -> None:
        """Send `key` as a bearer token."""
        self.target = target
        self.clock = clock
        self._dialect: Dialect = OpenAi(sampling) if target.api == "openai" else Ollama(sampling)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._shard = shard
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open an unlimited connection pool: waiting for a connection would count as latency."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=READ_BUFFER_BYTES,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session, for requests that are not measured."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        return self._session

    async def send(self, request: Request) -> Record:
        """Send one request and read its response; never raises for a fault of the server."""
        reader = self._dialect.reader()
        body = self._dialect.body(request.planned, request.prompt)
        sent = self.clock()
        try:
            async with asyncio.timeout(self.target.timeout_seconds):
                outcome, error = await self._exchange(body, reader)
        except TimeoutError:
            outcome = Outcome.TIMEOUT
            error = f"not complete within {self.target.timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError) as lost:
            outcome, error = Outcome.DISCONNECTED, shorten(f"{type(lost).__name__}: {lost}")
        except MalformedResponseError as malformed:
            outcome, error = Outcome.FAILED, shorten(str(malformed))
        return self._record(request, reader.response, sent, outcome, error)

    async def _exchange(self, body: object, reader: ResponseReader) -> tuple[Outcome, str]:
        url = self.target.url + self._dialect.path
        async with self.session.post(url, json=body, allow_redirects=False) as response:
            if response.status != 200:
                return await error_response(response)
            read = 0
            while data := await response.content.readany():
                reader.feed(data, self.clock())
                read += len(data)
                if read > MAX_RESPONSE_BYTES:
                    return Outcome.FAILED, f"the response exceeds {MAX_RESPONSE_BYTES} bytes"
            reader.end(self.clock())
        return _outcome(reader.response)

    def _record(
        self, request: Request, response: StreamedResponse, sent: int, outcome: Outcome, error: str
    ) -> Record:
        tokens, counted_by = _count_tokens(response)
        return Record(
            stage=request.stage,
            planned=request.planned,
            api=self.target.api,
            scheduled_ns=request.scheduled_ns,
            sent_ns=sent,
            ended_ns=self.clock(),
            chunk_ns=tuple(response.chunk_ns),
            prompt_tokens=response.prompt_tokens,
            completion_tokens=tokens,
            counted_by=counted_by,
            outcome=outcome,
            error=error,
            finish_reason=response.finish_reason,
            text="".join(response.text) if request.keep_text else "",
            server=response.server,
            prompt_words=sum(len(m.content.split()) for m in request.prompt.messages),
            finished_ns=response.finished_ns,
            cached_tokens=response.cached_tokens,
            shard=self._shard,
        )


def _count_tokens(
    response: StreamedResponse,
) -> tuple[int | None, Literal["usage", "chunks"] | None]:
    """Return the completion tokens of the usage, else the number of chunks."""
    if response.completion_tokens is not None:
        return response.completion_tokens, "usage"
    return (len(response.chunk_ns), "chunks") if response.chunk_ns else (None, None)


def _outcome(response: StreamedResponse) -> tuple[Outcome, str]:
    """Classify a stream that was read to its end."""
    if response.error:
        return Outcome.FAILED, response.error
    if not response.complete:
        return Outcome.TRUNCATED, "the stream ended without its final event"
    return Outcome.OK, ""
