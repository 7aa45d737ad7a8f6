"""The mock server: OpenAI's and Ollama's APIs on one socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from pydantic import ValidationError

from loadtest.mock import catalog
from loadtest.mock.behaviour import REFUSED, Behaviour, Kind
from loadtest.mock.bodies import OllamaBody, OpenAiBody
from loadtest.mock.dialects import MockDialect, MockOllama, MockOpenAi
from loadtest.mock.script import MockRequest, Script, write
from loadtest.mock.slots import ModelSlots, until
from loadtest.mock.truth import ServedRequest, Truth
from sizeup_loadtest.data.record import Outcome

MAX_BODY = 64 << 20
"""A prompt of a million words, twice over."""
HANG_SECONDS = 3600.0
"""Longer than any timeout; a hang ends when the client disconnects."""
_REFUSALS = {Outcome.BUSY: 429, Outcome.REFUSED: 400, Outcome.UNAVAILABLE: 503}
_BACKLOG = 4096
"""Pending connections; the default rejects some of 1,000."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MockServer:
    """Serves on loopback while entered; `truth` records its requests."""

    def __init__(self, behaviour: Behaviour, host: str = "127.0.0.1", port: int = 0) -> None:
        self.behaviour = behaviour
        self.truth = Truth()
        self._host, self._port = host, port
        self._models = {size.name: ModelSlots(size) for size in behaviour.sizes}
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
        """Base URL."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._openai(chat=True)),
                web.post("/v1/completions", self._openai(chat=False)),
                web.get("/truth", self._truth),
                web.get("/metrics", self._metrics),
                *catalog.routes(self._models, self.behaviour.kind),
            ]
        )
        if self.behaviour.kind in catalog.BY_OLLAMA:
            app.router.add_post("/api/chat", self._ollama(chat=True))
            app.router.add_post("/api/generate", self._ollama(chat=False))
        return app

    async def _truth(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self.truth.as_json())

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        if not self.behaviour.metrics:
            return web.Response(status=404)
        lines = []
        for name, model in self._models.items():
            labels = f'{{engine="0",model_name="{name}"}}'
            lines += [
                f"vllm:num_requests_running{labels} {model.running}",
                f"vllm:num_requests_waiting{labels} {model.waiting}",
                f"vllm:kv_cache_usage_perc{labels} {model.running / model.size.parallel}",
            ]
        return web.Response(text="\n".join(lines) + "\n")

    def _openai(self, chat: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            arrived, data = perf_counter_ns(), await request.read()
            try:
                wanted = OpenAiBody.model_validate_json(data).wanted()
            except ValidationError as error:
                return web.json_response({"error": {"message": str(error)}}, status=400)
            if response := _strict(json.loads(data), self.behaviour.kind):
                return response
            return await self._answer(
                request, wanted, MockOpenAi(wanted, chat, self.behaviour), arrived
            )

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
            wanted = body.wanted()
            return await self._answer(request, wanted, MockOllama(wanted, chat), arrived)

        return handle

    async def _load(self, body: OllamaBody) -> web.Response:
        slots = self._models.get(body.model)
        if slots is None:
            return web.json_response({"error": f"model '{body.model}' not found"}, status=404)
        begun = perf_counter_ns()
        if body.unloads:
            slots.loaded = slots.size.load_seconds == 0
        else:
            await slots.load()
        elapsed = perf_counter_ns() - begun
        extra = {"done": True, "done_reason": "unload" if body.unloads else "load"}
        durations = {"total_duration": elapsed, "load_duration": elapsed}
        return web.json_response({"model": body.model, **extra, **durations})

    async def _answer(
        self, request: web.Request, wanted: MockRequest, dialect: MockDialect, arrived: int
    ) -> web.StreamResponse:
        slots = self._models.get(wanted.model)
        if slots is None:
            message = f"model '{wanted.model}' not found"
            return web.json_response(dialect.error_response(404, message), status=404)
        script = write(self.behaviour, slots.size, wanted, slots.turns[wanted.prompt])
        slots.turns[wanted.prompt] += 1
        if self.behaviour.prefix_cache:
            script = replace(script, cached_tokens=slots.cached_words(wanted.prompt))
        served = ServedRequest(
            wanted.model, wanted.prompt, arrived, prompt_tokens=script.prompt_tokens
        )
        served.right, served.first_tokens = script.right, script.pieces[0].tokens
        served.outcome = script.failure or Outcome.OK
        if slots.waiting >= self.behaviour.max_waiting:
            served.outcome = Outcome.BUSY
        self.truth.add(served)
        try:
            if script.refused or served.outcome is Outcome.BUSY:
                return _refuse(request, served, dialect, self.behaviour.retry_after)
            if wanted.stream:
                return await self._stream(request, slots, script, dialect, served)
            return await _whole(slots, script, dialect, served)
        except (asyncio.CancelledError, ConnectionError):
            served.disconnected = True
            raise
        finally:
            served.ended_ns = served.ended_ns or perf_counter_ns()

    async def _stream(
        self,
        request: web.Request,
        slots: ModelSlots,
        script: Script,
        dialect: MockDialect,
        served: ServedRequest,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": dialect.content_type})
        if self.behaviour.role_early:
            await response.prepare(request)
            await response.write(dialect.early())
        comment = dialect.comment if self.behaviour.comments else b""
        async with slots.slot(served) as ready:
            for piece in script.sent:
                await until(ready + piece.due_ns)
                if not response.prepared:
                    await response.prepare(request)
                data = comment + dialect.piece(piece, not served.written_ns)
                served.written_ns.append(perf_counter_ns())
                served.tokens += piece.tokens
                await response.write(data)
            await _end(request, response, script, dialect, served)
        return response


async def _end(
    request: web.Request,
    response: web.StreamResponse,
    script: Script,
    dialect: MockDialect,
    served: ServedRequest,
) -> None:
    """End a stream, regularly or with its failure."""
    if not response.prepared:
        await response.prepare(request)
    if script.failure is Outcome.TIMEOUT:
        await asyncio.sleep(HANG_SECONDS)
    elif script.failure is Outcome.FAILED:
        await response.write(dialect.broken("mock failure"))
    elif script.failure is None:
        await response.write(dialect.last(script, served))
    await response.write_eof()
    served.ended_ns = perf_counter_ns()


async def _whole(
    slots: ModelSlots, script: Script, dialect: MockDialect, served: ServedRequest
) -> web.Response:
    """Respond without streaming; a failure halfway is a 500."""
    async with slots.slot(served) as ready:
        await until(ready + script.pieces[-1].due_ns)
        if script.failure is Outcome.TIMEOUT:
            await asyncio.sleep(HANG_SECONDS)
        served.written_ns.append(perf_counter_ns())
        if script.failure is not None:
            return web.json_response(dialect.error_response(500, "mock failure"), status=500)
        served.tokens = script.tokens
        return web.json_response(dialect.whole(script, served))


def _strict(body: dict[str, Any], kind: Kind) -> web.Response | None:
    """Refuse the first parameter that this kind of server does not support."""
    name = next((name for name in sorted(REFUSED.get(kind, ())) if name in body), None)
    if name is None:
        return None
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    error = {"message": message, "type": "invalid_request_error", "param": name, "code": None}
    return web.json_response({"error": error}, status=400)


def _refuse(
    request: web.Request, served: ServedRequest, dialect: MockDialect, retry_after: str
) -> web.Response:
    """Fail before the first byte."""
    status = _REFUSALS.get(served.outcome)
    if status is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # not sent: the connection is aborted
    headers = {"Retry-After": retry_after} if retry_after and status != 400 else {}
    message = f"mock failure: {served.outcome.value}"
    return web.json_response(
        dialect.error_response(status, message), status=status, headers=headers
    )
