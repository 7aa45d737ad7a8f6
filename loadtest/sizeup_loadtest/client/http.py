"""One request over HTTP: sent, timed, read to its end, and every way it can go wrong named.

Bytes are stamped when they are read and parsed afterwards; times are the run's clock.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from sizeup_loadtest.client.answer import Answer, Dialect, Reader, UnreadableError, cut
from sizeup_loadtest.client.ollama import Ollama
from sizeup_loadtest.client.openai import OpenAi
from sizeup_loadtest.client.refusal import refusal
from sizeup_loadtest.config.schema import Sampling, Target
from sizeup_loadtest.data.record import Outcome, Planned, Record
from sizeup_loadtest.workload.prompts import Prompt

READ_BUFFER_BYTES = 1 << 20
"""Of one connection; aiohttp's own 64 KiB pause a fast stream, and the pause would be measured."""

KEEP_ALIVE_SECONDS = 3.0
"""Less than servers keep an idle connection (uvicorn: 5): a request on a closed one is lost."""

MAX_ANSWER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request when its time has come."""

    stage: str
    planned: Planned
    prompt: Prompt
    scheduled_ns: int
    keep_text: bool = False


class Client:
    """Send requests to one server, as many at one time as are asked for."""

    def __init__(
        self,
        target: Target,
        sampling: Sampling,
        clock: Callable[[], int],
        *,
        key: str | None = None,
        shard: int = 0,
    ) -> None:
        """Use as an async context manager; `key` is sent as a bearer token."""
        self.target = target
        self.clock = clock
        self._dialect: Dialect = OpenAi(sampling) if target.api == "openai" else Ollama(sampling)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._shard = shard
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open a pool without a limit: a request that waits here would be measured as slow."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=READ_BUFFER_BYTES,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
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

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the open session, for what is asked beside the measured requests."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        return self._session

    async def send(self, request: Request) -> Record:
        """Send one request and read its answer; never raises for what a server does."""
        reader = self._dialect.reader()
        body = self._dialect.body(request.planned, request.prompt)
        sent = self.clock()
        try:
            async with asyncio.timeout(self.target.timeout_seconds):
                outcome, error = await self._exchange(body, reader)
        except TimeoutError:
            outcome = Outcome.TIMEOUT
            error = f"no end within {self.target.timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError) as lost:
            outcome, error = Outcome.DISCONNECTED, cut(f"{type(lost).__name__}: {lost}")
        except UnreadableError as unreadable:
            outcome, error = Outcome.FAILED, cut(str(unreadable))
        return self._record(request, reader.answer, sent, outcome, error)

    async def _exchange(self, body: object, reader: Reader) -> tuple[Outcome, str]:
        url = self.target.url + self._dialect.path
        async with self.session.post(url, json=body, allow_redirects=False) as response:
            if response.status != 200:
                return await refusal(response)
            read = 0
            while data := await response.content.readany():
                reader.feed(data, self.clock())
                read += len(data)
                if read > MAX_ANSWER_BYTES:
                    return Outcome.FAILED, f"the answer is longer than {MAX_ANSWER_BYTES} bytes"
            reader.end(self.clock())
        return _ending(reader.answer)

    def _record(
        self, request: Request, answer: Answer, sent: int, outcome: Outcome, error: str
    ) -> Record:
        tokens, counted = answer.completion_tokens, "usage"
        if tokens is None and answer.chunk_ns:
            tokens, counted = len(answer.chunk_ns), "chunks"
        return Record(
            stage=request.stage,
            planned=request.planned,
            api=self.target.api,
            scheduled_ns=request.scheduled_ns,
            sent_ns=sent,
            ended_ns=self.clock(),
            chunk_ns=tuple(answer.chunk_ns),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=tokens,
            counted_by=None if tokens is None else "usage" if counted == "usage" else "chunks",
            outcome=outcome,
            error=error,
            finish_reason=answer.finish_reason,
            text="".join(answer.text) if request.keep_text else "",
            server=answer.server,
            prompt_words=sum(len(m.content.split()) for m in request.prompt.messages),
            finished_ns=answer.finished_ns,
            shard=self._shard,
        )


def _ending(answer: Answer) -> tuple[Outcome, str]:
    """Judge a stream that was read to its end."""
    if answer.error:
        return Outcome.FAILED, answer.error
    if not answer.complete:
        return Outcome.TRUNCATED, "the stream ended without its last event"
    return Outcome.OK, ""
