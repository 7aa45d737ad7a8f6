"""The internal HTTP API: paths, bodies, statuses."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sizeup_inference.errors import InferenceError, InvalidRequestError, to_response
from sizeup_inference.requests.embedding import embed
from sizeup_inference.requests.generation import ServedModel, accept, prepare
from sizeup_inference.requests.resolve import resolve_prompt
from sizeup_inference.requests.truncation import encode
from sizeup_inference.server.health import livez, readiness_response
from sizeup_inference.server.state import Service
from sizeup_inference.server.streaming import (
    ClientGoneError,
    EventWriter,
    read_body,
    unless_disconnected,
)
from sizeup_telemetry.metrics import metrics_route
from sizeup_wire import routes as paths
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import (
    EmbedRequest,
    KeepAliveRequest,
    KeepAliveResponse,
    Stats,
    TokenizeRequest,
    TokenizeResponse,
)

_LARGE_BODY_BYTES = 64 * 1024
"""Larger bodies take milliseconds to validate, so they are validated off the event loop."""

Body = TypeVar("Body", bound=BaseModel)


def routes(service: Service, registry: CollectorRegistry) -> list[BaseRoute]:
    """List every path this process answers."""

    async def model(_request: Request) -> Response:
        return JSONResponse(service.served().info.model_dump(mode="json"))

    async def stats(_request: Request) -> Response:
        return JSONResponse(_stats(service.served(), service).model_dump(mode="json"))

    async def readyz(_request: Request) -> Response:
        return readiness_response(service.health.state(time.monotonic()))

    return [
        Route(paths.GENERATE, Work(service, _generate), methods=["POST"]),
        Route(paths.EMBED, Work(service, _embed), methods=["POST"]),
        Route(paths.TOKENIZE, Work(service, _tokenize), methods=["POST"]),
        Route(paths.KEEP_ALIVE, Work(service, _reside), methods=["POST"]),
        Route(paths.MODEL, model, methods=["GET"]),
        Route(paths.STATS, stats, methods=["GET"]),
        Route(paths.LIVEZ, livez, methods=["GET"]),
        Route(paths.READYZ, readyz, methods=["GET"]),
        metrics_route(registry, paths.METRICS),
    ]


Handler = Callable[[ServedModel, bytes, "Answer"], Coroutine[None, None, None]]


class Answer:
    """The way back to the client: one JSON body, or a stream of events."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer nothing yet."""
        self._asgi = (scope, receive, send)
        self.events = EventWriter(send)

    async def json(self, body: BaseModel) -> None:
        """Send a message, and with it the end."""
        await Response(body.model_dump_json(), media_type="application/json")(*self._asgi)


class Work:
    """An ASGI endpoint whose handler is cancelled as soon as its client hangs up."""

    def __init__(self, service: Service, handler: Handler) -> None:
        """Serve one path."""
        self._service = service
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; refusals are counted and raised for Starlette to answer."""
        try:
            model = self._service.accepting()
            with model.in_use():
                body = await read_body(receive)
                work = self._handler(model, body, Answer(scope, receive, send))
                await unless_disconnected(receive, work)
        except ClientGoneError:
            self._service.metrics.count("cancelled")
        except InferenceError as error:
            self._service.metrics.count(error.code.value)
            await to_response(error)(scope, receive, send)


async def _generate(model: ServedModel, body: bytes, answer: Answer) -> None:
    request = await _parse(GenerateRequest, body)
    _keep_alive(model, request.keep_alive_seconds)
    prepared = await prepare(model, request)
    with accept(model, prepared) as generation:
        await answer.events.start()
        async for events in generation.events():
            await answer.events.write(events)
        await answer.events.end()


async def _embed(model: ServedModel, body: bytes, answer: Answer) -> None:
    request = await _parse(EmbedRequest, body)
    _keep_alive(model, request.keep_alive_seconds)
    await answer.json(await embed(model, request))
    model.metrics.count("ok")


async def _tokenize(model: ServedModel, body: bytes, answer: Answer) -> None:
    request = await _parse(TokenizeRequest, body)
    prompt = resolve_prompt(request.prompt, model.info)
    encoded = await model.tokenizing.run(lambda: encode(model.tokenizer, prompt))
    await answer.json(TokenizeResponse(token_ids=encoded.token_ids, rendered=encoded.rendered))
    model.metrics.count("ok")


async def _reside(model: ServedModel, body: bytes, answer: Answer) -> None:
    request = await _parse(KeepAliveRequest, body)
    _keep_alive(model, request.keep_alive_seconds)
    await answer.json(KeepAliveResponse(expires_at=model.residence.expires_at(time.time())))


def _keep_alive(model: ServedModel, seconds: float | None) -> None:
    if seconds is not None:
        model.residence.keep_alive(seconds)


async def _parse(kind: type[Body], body: bytes) -> Body:
    """Validate a body, or raise InvalidRequestError naming the field."""
    try:
        if len(body) > _LARGE_BODY_BYTES:
            return await asyncio.to_thread(kind.model_validate_json, body)
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        param = ".".join(map(str, first["loc"]))
        raise InvalidRequestError(
            f"{param}: {first['msg']}" if param else first["msg"], param=param or None
        ) from None


def _stats(model: ServedModel, service: Service) -> Stats:
    engine, now = model.engine.stats(), time.time()
    return Stats(
        running=engine.running,
        waiting=engine.waiting,
        pages_used=engine.pages_used,
        pages_total=engine.pages_total,
        max_waiting=service.settings.max_waiting,
        steps=engine.steps,
        prompt_tokens=engine.prompt_tokens,
        completion_tokens=engine.completion_tokens,
        # a hang-up leaves the engine at work until the end of its step
        idle=model.residence.is_idle and not engine.running and not engine.waiting,
        expires_at=model.residence.expires_at(now),
        now=now,
    )
