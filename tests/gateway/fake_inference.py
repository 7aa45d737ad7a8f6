"""A scripted inference process on a loopback port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import BaseModel

from gateway.embed_script import EmbedScript, embedding
from sizeup_inference.errors import InferenceError
from sizeup_inference.requests.resolve import resolve_prompt
from sizeup_telemetry import request_id
from sizeup_wire import routes
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event, Finished, FinishReason, Started, Text
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import (
    KeepAliveRequest,
    KeepAliveResponse,
    ModelInfo,
    SamplingDefaults,
    Stats,
    TokenizeRequest,
    TokenizeResponse,
)

Script = Callable[[GenerateRequest], AsyncIterator[Event | bytes]]

TOKENS = ("Hello", ",", " 世", "界", " 😀", "!")


def started(prompt_tokens: int = 7) -> Started:
    return Started(queued_ns=1000, load_ns=0, prompt_tokens=prompt_tokens)


def finished(
    completion_tokens: int, *reasons: FinishReason, context: tuple[int, ...] | None = None
) -> Finished:
    return Finished(
        reasons=reasons or (FinishReason.STOP,),
        prompt_tokens=7,
        cached_tokens=2,
        completion_tokens=completion_tokens,
        prompt_eval_ns=342_546_000,
        eval_ns=4_535_599_000,
        context=context,
    )


def responding_with(*texts: str, reason: FinishReason = FinishReason.STOP) -> Script:
    """Respond with the same texts for every choice, one event each."""

    async def script(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        for text in texts:
            for choice in range(request.n):
                yield Text(choice=choice, text=text)
        context = (1, 2, 3) if request.return_context else None
        yield finished(len(texts) * request.n, *[reason] * request.n, context=context)

    return script


def events(*script_events: Event | bytes) -> Script:
    """Respond to every request with these events."""

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        for event in script_events:
            yield event

    return script


def refusing(
    code: ErrorCode, status: int, message: str = "refused", param: str | None = None
) -> Script:
    """Respond with an HTTP error."""

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        raise Refusal(status, Failure(code=code, message=message, param=param))
        yield

    return script


class Refusal(Exception):
    def __init__(self, status: int, failure: Failure) -> None:
        super().__init__(failure.message)
        self.status = status
        self.failure = failure


class KillConnection(Exception):
    """Raised by a script: resets the connection."""


def model_info(
    model_id: str = "Qwen/Qwen2.5-0.5B-Instruct",
    capabilities: Iterable[str] = ("completion", "tools"),
    template: str = "{{ messages }} {{ tools }}",
) -> ModelInfo:
    return ModelInfo(
        id=model_id,
        revision="abc",
        architecture="qwen2",
        parameters=494_032_768,
        weight_bytes=988_065_536,
        memory_bytes=1_200_000_000,
        device_bytes=0,
        dtype="bfloat16",
        device="cpu",
        layers=24,
        hidden_size=896,
        intermediate_size=4864,
        heads=14,
        kv_heads=2,
        vocab_size=151_936,
        rope_theta=1e6,
        context_length=32_768,
        template=template,
        capabilities=tuple(capabilities),
        license="",
        digest="ab" * 32,
        modified_at=1_767_323_045.678901,
        eos_token_ids=(151_645,),
        sampling=SamplingDefaults(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05),
        load_ns=1,
    )


class FakeInference:
    """Records requests and responds by its script; rejects prompts by inference's own rules."""

    described: ModelInfo | None = None
    """Description while it loads; None as in an earlier release."""
    details: bytes | None = None
    """Body of MODEL_DETAILS; None as in an earlier release."""

    def __init__(self, script: Script | None = None, info: ModelInfo | None = None) -> None:
        self.script = script or responding_with(*TOKENS)
        self.embed_script: EmbedScript = embedding
        self.embed_requests: list[EmbedRequest] = []
        self.info = info or model_info()
        self.ready = True
        self.hangs = asyncio.Event()
        """While set, probes time out and the response of tokenize is incomplete."""
        self.requests: list[GenerateRequest] = []
        self.request_ids: list[str] = []
        self.live = 0
        self.most_live = 0
        self.cancelled = 0
        """Responses whose client disconnected: a write may notice before aiohttp cancels."""
        self.probes = 0
        self.state: str | None = None
        """State in /readyz while not ready; None sends no body."""
        self.stage: str | None = None
        self.keep_alive: float = -1.0
        """Seconds, negative for ever; set by requests."""
        self.keep_alive_requests: list[float | None] = []
        self.stats_reads = 0
        self.stats_fail = False
        """While true, reading the stats fails."""
        self.now = 1000.0
        """Its clock, moved only by tests."""
        self._used_at = self.now
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def expires_at(self) -> float | None:
        since = self.now if self.live else self._used_at
        return None if self.keep_alive < 0 else since + self.keep_alive

    async def start(self) -> None:
        """Listen; a restart takes the same port."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post(routes.GENERATE, self._generate)
        app.router.add_post(routes.EMBEDDINGS, self._embed)
        app.router.add_post(routes.TOKENIZE, self._tokenize)
        app.router.add_get(routes.MODEL, self._model)
        app.router.add_get(routes.STATS, self._stats)
        app.router.add_post(routes.KEEP_ALIVE, self._set_keep_alive)
        app.router.add_get(routes.MODEL_DETAILS, self._details)
        app.router.add_get(routes.READYZ, self._readyz)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True, backlog=1024)
        await site.start()
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Close the port and every connection, like a killed process."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if runner.server is not None:
                for connection in runner.server.connections:
                    if connection.transport is not None:
                        connection.transport.abort()
            await runner.cleanup()

    async def _readyz(self, _request: web.Request) -> web.Response:
        self.probes += 1
        if self.hangs.is_set():
            await asyncio.Event().wait()
        if self.ready:
            return web.json_response({"state": "ready"})
        if self.state is None:
            return web.Response(status=503)
        body = {"state": self.state, "progress": 0.5, "stage": self.stage}
        return web.json_response(body, status=503)

    async def _stats(self, _request: web.Request) -> web.Response:
        self.stats_reads += 1
        if self.stats_fail:
            return web.Response(status=500)
        stats = Stats(
            running=self.live,
            waiting=0,
            pages_used=0,
            pages_total=1,
            max_waiting=1,
            steps=0,
            prompt_tokens=0,
            completion_tokens=0,
            idle=not self.live,
            expires_at=self.expires_at,
            now=self.now,
        )
        return web.Response(text=stats.model_dump_json(), content_type="application/json")

    async def _set_keep_alive(self, request: web.Request) -> web.Response:
        body = KeepAliveRequest.model_validate_json(await request.read())
        self.keep_alive_requests.append(body.keep_alive_seconds)
        if body.keep_alive_seconds is not None:
            self.keep_alive = body.keep_alive_seconds
        self._used_at = self.now
        response = KeepAliveResponse(expires_at=self.expires_at)
        return web.Response(text=response.model_dump_json(), content_type="application/json")

    async def _model(self, _request: web.Request) -> web.Response:
        info = self.info if self.ready else self.described
        if info is None:
            failure = Failure(code=ErrorCode.NOT_READY, message="loading")
            return web.Response(text=failure.model_dump_json(), status=503)
        return web.Response(text=info.model_dump_json(), content_type="application/json")

    async def _details(self, _request: web.Request) -> web.Response:
        if self.details is None:
            return web.Response(status=404)
        return web.Response(body=self.details)

    async def _tokenize(self, request: web.Request) -> web.StreamResponse:
        TokenizeRequest.model_validate_json(await request.read())
        body = TokenizeResponse(token_ids=(1, 2), rendered="<|im_start|>user")
        if self.hangs.is_set():
            return await self._half(request, body.model_dump_json().encode())
        return web.Response(text=body.model_dump_json(), content_type="application/json")

    async def _half(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        self.live += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.live -= 1
        return response

    async def _generate(self, http: web.Request) -> web.StreamResponse:
        request = GenerateRequest.model_validate_json(await http.read())
        try:
            resolve_prompt(request.prompt, self.info)
        except InferenceError as error:
            return _refusal(error)
        self.requests.append(request)
        return await self._respond(http, request, self.script(request))

    async def _embed(self, http: web.Request) -> web.StreamResponse:
        request = EmbedRequest.model_validate_json(await http.read())
        self.embed_requests.append(request)
        return await self._respond(http, request, self.embed_script(request))

    async def _respond(
        self,
        http: web.Request,
        request: GenerateRequest | EmbedRequest,
        script: AsyncIterator[BaseModel | bytes],
    ) -> web.StreamResponse:
        if request.keep_alive_seconds is not None:
            self.keep_alive = request.keep_alive_seconds
        self.request_ids.append(http.headers.get(request_id.HEADER, ""))
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        try:
            return await self._answer(http, script)
        except Refusal as refusal:
            text = refusal.failure.model_dump_json()
            return web.Response(text=text, status=refusal.status)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled += 1
            raise
        finally:
            self.live -= 1
            self._used_at = self.now

    async def _answer(
        self, http: web.Request, script: AsyncIterator[BaseModel | bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        try:
            async for event in script:
                if not response.prepared:
                    await response.prepare(http)
                line = event if isinstance(event, bytes) else event.model_dump_json().encode()
                await response.write(line + b"\n")
        except KillConnection:
            if http.transport is not None:
                http.transport.abort()
        return response


def _refusal(error: InferenceError) -> web.Response:
    failure = Failure(code=error.code, message=error.message, param=error.param)
    return web.Response(text=failure.model_dump_json(), status=400)


@asynccontextmanager
async def fake_inference(
    script: Script | None = None, info: ModelInfo | None = None
) -> AsyncIterator[FakeInference]:
    fake = FakeInference(script, info)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()
