"""The server of known truth: Ollama's and OpenAI's routes on one socket."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from aiohttp import web
from pydantic import ValidationError

from loadtest.mock import catalog
from loadtest.mock.behaviour import Behaviour
from loadtest.mock.bodies import OllamaBody, OpenAiBody
from loadtest.mock.dialects import Dialect, Ollama, OpenAi
from loadtest.mock.place import ModelSlots, until
from loadtest.mock.script import MockRequest, Script, write
from loadtest.mock.truth import ServedRequest, Truth
from sizeup_loadtest.data.record import Outcome

MAX_BODY = 64 << 20
"""A prompt of a million words, twice over."""
HANG_SECONDS = 3600.0
"""Longer than any client's patience; a hang ends when the client leaves."""
_REFUSALS = {Outcome.BUSY: 429, Outcome.REFUSED: 400, Outcome.UNAVAILABLE: 503}
_BACKLOG = 4096
"""Connections that may knock at once: the system's default refuses some of 1,000."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MockServer:
    """Serve on loopback while entered; `truth` holds what was done."""

    def __init__(self, behaviour: Behaviour, host: str = "127.0.0.1", port: int = 0) -> None:
        self.behaviour = behaviour
        self.truth = Truth()
        self._host, self._port = host, port
        self._places = {size.name: ModelSlots(size) for size in behaviour.sizes}
        self._runner = web.AppRunner(
            self._app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return where it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._openai(chat=True)),
                web.post("/v1/completions", self._openai(chat=False)),
                web.post("/api/chat", self._ollama(chat=True)),
                web.post("/api/generate", self._ollama(chat=False)),
                web.get("/truth", self._tell),
                *catalog.routes(self._places),
            ]
        )
        return app

    async def _tell(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self.truth.as_json())

    def _openai(self, chat: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            arrived = perf_counter_ns()
            try:
                asked = OpenAiBody.model_validate_json(await request.read()).asked()
            except ValidationError as error:
                return web.json_response({"error": {"message": str(error)}}, status=400)
            return await self._answer(request, asked, OpenAi(asked, chat), arrived)

        return handle

    def _ollama(self, chat: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            arrived = perf_counter_ns()
            try:
                body = OllamaBody.model_validate_json(await request.read())
            except ValidationError as error:
                return web.json_response({"error": str(error)}, status=400)
            if body.empty:
                return await self._load(body)
            asked = body.asked()
            return await self._answer(request, asked, Ollama(asked, chat), arrived)

        return handle

    async def _load(self, body: OllamaBody) -> web.Response:
        place = self._places.get(body.model)
        if place is None:
            return web.json_response({"error": f"model '{body.model}' not found"}, status=404)
        begun = perf_counter_ns()
        if body.unloads:
            place.loaded = place.size.load_seconds == 0
        else:
            await place.load()
        took = perf_counter_ns() - begun
        told = {"done": True, "done_reason": "unload" if body.unloads else "load"}
        durations = {"total_duration": took, "load_duration": took}
        return web.json_response({"model": body.model, **told, **durations})

    async def _answer(
        self, request: web.Request, asked: MockRequest, dialect: Dialect, arrived: int
    ) -> web.StreamResponse:
        place = self._places.get(asked.model)
        if place is None:
            message = f"model '{asked.model}' not found"
            return web.json_response(dialect.error_response(404, message), status=404)
        script = write(self.behaviour, place.size, asked, place.turns[asked.prompt])
        place.turns[asked.prompt] += 1
        answer = ServedRequest(
            asked.model, asked.prompt, arrived, prompt_tokens=script.prompt_tokens
        )
        answer.right = script.right
        answer.outcome = script.failure or Outcome.OK
        if place.waiting >= self.behaviour.max_waiting:
            answer.outcome = Outcome.BUSY
        self.truth.add(answer)
        try:
            if script.refused or answer.outcome is Outcome.BUSY:
                return _refuse(request, answer, dialect)
            if asked.stream:
                return await self._stream(request, place, script, dialect, answer)
            return await _whole(place, script, dialect, answer)
        except (asyncio.CancelledError, ConnectionError):
            answer.left = True
            raise
        finally:
            answer.ended_ns = answer.ended_ns or perf_counter_ns()

    async def _stream(
        self,
        request: web.Request,
        place: ModelSlots,
        script: Script,
        dialect: Dialect,
        answer: ServedRequest,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": dialect.content_type})
        if self.behaviour.role_early:
            await response.prepare(request)
            await response.write(dialect.early())
        comment = dialect.comment if self.behaviour.comments else b""
        async with place.taken(answer) as ready:
            for piece in script.sent:
                await until(ready + piece.due_ns)
                if not response.prepared:
                    await response.prepare(request)
                data = comment + dialect.piece(piece, not answer.written_ns)
                answer.written_ns.append(perf_counter_ns())
                answer.tokens += piece.tokens
                await response.write(data)
            await _end(request, response, script, dialect, answer)
        return response


async def _end(
    request: web.Request,
    response: web.StreamResponse,
    script: Script,
    dialect: Dialect,
    answer: ServedRequest,
) -> None:
    """End a stream well, or as its failure wants."""
    if not response.prepared:
        await response.prepare(request)
    if script.failure is Outcome.TIMEOUT:
        await asyncio.sleep(HANG_SECONDS)
    elif script.failure is Outcome.FAILED:
        await response.write(dialect.broken("the mock failed as it was told"))
    elif script.failure is None:
        await response.write(dialect.last(script, answer))
    await response.write_eof()
    answer.ended_ns = perf_counter_ns()


async def _whole(
    place: ModelSlots, script: Script, dialect: Dialect, answer: ServedRequest
) -> web.Response:
    """Answer in one piece; a failure halfway is an answer of 500."""
    async with place.taken(answer) as ready:
        await until(ready + script.pieces[-1].due_ns)
        if script.failure is Outcome.TIMEOUT:
            await asyncio.sleep(HANG_SECONDS)
        answer.written_ns.append(perf_counter_ns())
        if script.failure is not None:
            return web.json_response(dialect.error_response(500, "the mock failed"), status=500)
        answer.tokens = script.tokens
        return web.json_response(dialect.whole(script, answer))


def _refuse(request: web.Request, answer: ServedRequest, dialect: Dialect) -> web.Response:
    """Refuse before the first byte."""
    status = _REFUSALS.get(answer.outcome)
    if status is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # nobody is left to read it
        return web.Response()  # nobody is there to read it
    headers = {"Retry-After": "1"} if status != 400 else {}
    message = f"the mock is {answer.outcome.value} as it was told"
    return web.json_response(
        dialect.error_response(status, message), status=status, headers=headers
    )
