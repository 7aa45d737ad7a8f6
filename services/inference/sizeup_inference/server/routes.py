"""The internal HTTP API. Bodies are read raw and validated by the wire's models."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, aclosing
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, RootModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from sizeup_inference.errors import InvalidRequestError
from sizeup_inference.requests.embedding import embed
from sizeup_inference.requests.generation import accept, prepare
from sizeup_inference.requests.resolve import resolve_prompt
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.truncation import check_fits, encode
from sizeup_inference.server.error_responses import NOT_READY, REQUEST_FAILURES
from sizeup_inference.server.state import ServerState
from sizeup_inference.server.streaming import Handler, ResponseWriter, cancellable_response
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_telemetry.api_docs import (
    Json,
    direct_router,
    json_response,
    request_body,
    stream_response,
)
from sizeup_wire import routes as paths
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.events import Event, Failed, Finished
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import (
    KeepAliveRequest,
    KeepAliveResponse,
    ModelInfo,
    Stats,
    TokenizeRequest,
    TokenizeResponse,
)

NDJSON_TYPE = "application/x-ndjson"

_LARGE_BODY_BYTES = 64 * 1024
"""Larger bodies take milliseconds to validate, so they are validated off the event loop."""


class GenerateEvent(RootModel[Event]):
    """A line of the generate stream."""


class EmbeddingsEvent(RootModel[EmbedEvent]):
    """A line of the embeddings stream."""


class DetailsLine(RootModel[list[Any]]):
    """A line of the details."""


_STREAM = stream_response(
    NDJSON_TYPE,
    GenerateEvent,
    "One JSON event per line: `started`; any number of `prompt`; any number of `text`, `thinking` "
    "and `tool_call`; then exactly one `finished` or `failed`.",
)
_EMBEDDINGS = stream_response(
    NDJSON_TYPE,
    EmbeddingsEvent,
    "One JSON event per line: `started`; an `embedding` for each prompt, in order; then exactly "
    "one `finished`, or `failed` in place of what is missing.",
)
_DETAILS = stream_response(
    NDJSON_TYPE,
    DetailsLine,
    "Four lines: tensors (name, type, shape), tokens, merges, and types of the tokens.",
)
_TOKENS = json_response(TokenizeResponse, "Token ids")
_EXPIRY = json_response(KeepAliveResponse, "When it expires")

Body = TypeVar("Body", bound=BaseModel)


def request_router(state: ServerState) -> APIRouter:
    """Create the routes that take a body."""
    router = direct_router("Requests")

    def add(
        path: str, handler: Handler, summary: str, body: type[BaseModel], success: Json
    ) -> None:
        async def endpoint(_request: Request) -> ASGIApp:
            return cancellable_response(state, handler)

        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            name=path.rpartition("/")[2],
            summary=summary,
            openapi_extra=request_body(body),
            responses={200: success, **REQUEST_FAILURES},
        )

    add(paths.GENERATE, _generate, "Generate text as a stream of events", GenerateRequest, _STREAM)
    add(paths.EMBEDDINGS, _embeddings, "Embed prompts", EmbedRequest, _EMBEDDINGS)
    add(paths.TOKENIZE, _tokenize, "Tokenize a prompt as generate does", TokenizeRequest, _TOKENS)
    add(paths.KEEP_ALIVE, _keep_alive, "Set the keep-alive of the model", KeepAliveRequest, _EXPIRY)
    return router


def model_router(state: ServerState) -> APIRouter:
    """Create the routes that describe the model and its engine."""
    router = direct_router("Model")

    @router.get(
        paths.MODEL,
        summary="The model; until it is loaded, by its files",
        responses={200: json_response(ModelInfo, "The model"), **NOT_READY},
    )
    async def model(_request: Request) -> Response:
        return JSONResponse(state.model_info().model_dump(mode="json"))

    @router.get(
        paths.MODEL_DETAILS,
        summary="Tensors and vocabulary",
        responses={200: _DETAILS, **NOT_READY},
    )
    async def details(_request: Request) -> Response:
        return Response(await state.model_details(), media_type=NDJSON_TYPE)

    @router.get(
        paths.STATS,
        summary="Statistics of the engine",
        responses={200: json_response(Stats, "A snapshot"), **NOT_READY},
    )
    async def stats(_request: Request) -> Response:
        return JSONResponse(_stats(state.loaded_model(), state).model_dump(mode="json"))

    return router


async def _generate(model: ServedModel, body: bytes, writer: ResponseWriter) -> None:
    request = await _parse(GenerateRequest, body)
    _update_keep_alive(model, request.keep_alive_seconds)
    with ExitStack() as places:
        places.enter_context(model.holding_places(request.client, request.n))
        prepared = await prepare(model, request)
        with accept(model, prepared) as generation:
            await writer.start()
            await _stream(generation.events(), writer, places)


async def _embeddings(model: ServedModel, body: bytes, writer: ResponseWriter) -> None:
    request = await _parse(EmbedRequest, body)
    _update_keep_alive(model, request.keep_alive_seconds)
    with ExitStack() as places:
        places.enter_context(model.holding_places(request.client, 1))
        async with aclosing(embed(model, request)) as events:
            await _stream(events, writer, places)


async def _stream(
    batches: AsyncIterator[Sequence[Event | EmbedEvent]], writer: ResponseWriter, places: ExitStack
) -> None:
    async for events in batches:
        if isinstance(events[-1], Finished | Failed):
            places.close()  # before the client can read it and send the next request
        await writer.write(events)
    await writer.end()


async def _tokenize(model: ServedModel, body: bytes, writer: ResponseWriter) -> None:
    request = await _parse(TokenizeRequest, body)
    prompt = resolve_prompt(request.prompt, model.info)

    def encode_bounded() -> EncodedPrompt:
        check_fits(model.tokenizer, prompt, model.info.context_length)
        return encode(model.tokenizer, prompt)

    encoded = await model.tokenizer_thread.run(encode_bounded)
    await writer.json(TokenizeResponse(token_ids=encoded.token_ids, rendered=encoded.rendered))
    model.metrics.count("ok")


async def _keep_alive(model: ServedModel, body: bytes, writer: ResponseWriter) -> None:
    request = await _parse(KeepAliveRequest, body)
    _update_keep_alive(model, request.keep_alive_seconds)
    await writer.json(KeepAliveResponse(expires_at=model.keep_alive.expires_at(time.time())))


def _update_keep_alive(model: ServedModel, seconds: float | None) -> None:
    if seconds is not None:
        model.keep_alive.set(seconds)


async def _parse(kind: type[Body], body: bytes) -> Body:
    """Validate a body, or raise InvalidRequestError with the field at fault."""
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


def _stats(model: ServedModel, state: ServerState) -> Stats:
    engine, now = model.engine.stats(), time.time()
    return Stats(
        running=engine.running,
        waiting=engine.waiting,
        pages_used=engine.pages_used,
        pages_total=engine.pages_total,
        max_waiting=state.settings.max_waiting,
        steps=engine.steps,
        prompt_tokens=engine.prompt_tokens,
        completion_tokens=engine.completion_tokens,
        # the engine computes the current step of a request whose client has disconnected
        idle=model.keep_alive.is_idle and not engine.running and not engine.waiting,
        expires_at=model.keep_alive.expires_at(now),
        now=now,
    )
