"""Handlers of Ollama's API."""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from fastapi import APIRouter
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sizeup_gateway.api.dependencies import Dependencies, model_headers
from sizeup_gateway.api.ollama import documentation, schema, translate
from sizeup_gateway.api.ollama.chunks import (
    ChatChunks,
    EmbedChunks,
    EmbeddingChunks,
    EmptyChunks,
    GenerateChunks,
    LoadChunks,
    ShowChunks,
    assistant_message,
    timestamp,
)
from sizeup_gateway.api.ollama.describe import to_process, to_show, to_tag
from sizeup_gateway.api.ollama.manage.describe import to_created_show, to_created_tag
from sizeup_gateway.api.request_body import field_path, reason
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.errors import (
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    UpstreamError,
)
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.selection import Selected, created_models
from sizeup_gateway.responses.event_response import (
    Accept,
    EventResponse,
    accept_embedding,
    accept_event,
)
from sizeup_gateway.responses.framing import NDJSON, Chunks, Json, JsonResponse
from sizeup_gateway.scaling.keep_alive import KeepAlive
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event
from sizeup_wire.generate import Prompt

EventT = TypeVar("EventT")

_client_error = partial(to_client_error, to_param=str)

API_VERSION = "0.12.11"
"""The Ollama release whose API this is: the first with logprobs, before /v1/responses.

Clients split it at the dots and parse each part as a number."""

_OPTION_TYPES = {
    "float_type": "float32",
    "int_type": "integer",
    "int_from_float": "integer",
    "string_type": "string",
    "list_type": "array",
}
"""Ollama's type names, by pydantic's error type."""


class OllamaRoutes:
    """Handlers of /api and of the heartbeat at /."""

    def __init__(self, dependencies: Dependencies, stream_default: translate.StreamDefault) -> None:
        self._dependencies = dependencies
        self._stream_default = stream_default

    def router(self) -> APIRouter:
        """Create the router; the routes that are matched first serve most requests."""
        router = direct_router("Ollama")
        router.post("/api/chat", **documentation.CHAT)(self.chat)
        router.post("/api/generate", **documentation.GENERATE)(self.generate)
        router.get("/", **documentation.HEARTBEAT)(self.heartbeat)
        router.get("/api/version", **documentation.VERSION)(self.version)
        router.get("/api/tags", **documentation.TAGS)(self.tags)
        router.get("/api/ps", **documentation.PROCESSES)(self.processes)
        router.post("/api/show", **documentation.SHOW)(self.show)
        router.post("/api/embed", **documentation.EMBED)(self.embed)
        router.post("/api/embeddings", **documentation.EMBEDDINGS)(self.embeddings)
        return router

    async def heartbeat(self, _request: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def version(self, _request: Request) -> Response:
        return JsonResponse({"version": API_VERSION})

    async def tags(self, _request: Request) -> Response:
        """List the models of the catalog and created ones, the most recently modified first."""
        now = datetime.now(UTC)
        models = self._dependencies.models
        tags = [to_tag(model, now) for model in models.by_key.values()]
        tags += [to_created_tag(created, now) for created in created_models(models)]
        tags.sort(key=lambda tag: str(tag["modified_at"]), reverse=True)
        return JsonResponse({"models": tags})

    async def processes(self, _request: Request) -> Response:
        """List the models with an inference process, including those that are loading."""
        now = datetime.now(UTC)
        models = [m for m in self._dependencies.models.by_key.values() if m.has_process]
        return JsonResponse({"models": [to_process(model, now) for model in models]})

    async def show(self, request: Request) -> Response:
        body = await self._dependencies.read(request, schema.ShowRequest, describe)
        name = body.named
        selected = self._dependencies.select(request, name, generates=False)
        user_agent = request.headers.get("user-agent", "")

        def to_response(now: datetime, details: Sequence[bytes] | None = None) -> Json:
            shown = to_show(selected.model, name, user_agent, now, details)
            if selected.created is not None:
                shown = to_created_show(selected.created, selected.model, shown)
            return shown

        if not body.verbose:
            return JsonResponse(to_response(datetime.now(UTC)))
        return EventResponse(
            events=partial(self._details, selected.model),
            accept=lambda _details, _metrics: False,
            chunks=ShowChunks(to_response),
            framing=NDJSON,
            streams=False,
            admission=self._dependencies.admission,
            to_client_error=partial(to_client_error, model=name, to_param=str),
        )

    async def _details(self, model: Model) -> AsyncGenerator[Sequence[Sequence[bytes]]]:
        """Yield the details of a model, if it has a process that serves them."""
        details = await self._dependencies.dispatcher.details(model)
        if details is not None:
            yield [details]

    async def chat(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.ChatRequest, describe)
        name = body.model or ""
        selected = self._dependencies.select(request, name, generates=bool(body.messages))
        if not body.messages:
            empty = {"message": assistant_message("")}
            return self._load(selected, body, LoadChunks(selected.name, empty, body.keep_alive))
        if body.debug_render_only:
            return await self._render(selected, translate.chat_prompt(body))
        accept = request.headers.get("accept", "")
        by_hub_id = (selected.instead_of or selected.model).is_hub_id(name)
        delivery = translate.delivery(
            body.stream, accept, self._stream_default, by_hub_id=by_hub_id
        )
        wire, given = translate.from_chat(body), translate.given(body)
        events = self._dependencies.generate(request, selected, [wire], given)
        chunks = ChatChunks(selected.name, images=delivery.images)
        return self._respond(selected, events, accept_event, chunks, streams=delivery.streams)

    async def generate(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.GenerateRequest, describe)
        name = body.model or ""
        if not name:
            raise ModelNotFoundError(name)
        generates = bool(body.prompt or body.suffix)
        selected = self._dependencies.select(request, name, generates=generates)
        if not generates:
            loaded = LoadChunks(selected.name, {"response": ""}, body.keep_alive)
            return self._load(selected, body, loaded)
        if body.debug_render_only:
            return await self._render(selected, translate.generate_prompt(body))
        wire, given = translate.from_generate(body), translate.given(body)
        events = self._dependencies.generate(request, selected, [wire], given)
        chunks = GenerateChunks(selected.name)
        streams = body.stream is not False
        return self._respond(selected, events, accept_event, chunks, streams=streams)

    async def embed(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.EmbedRequest, describe)
        if not body.model:
            raise ModelNotFoundError("")
        selected = self._select_embedder(request, body.model, generates=bool(body.input))
        if not body.input:
            empty = EmptyChunks({"model": selected.name, "embeddings": []})
            return self._load(selected, body, empty)
        events = self._dependencies.embed(request, selected, translate.from_embed(body))
        return self._respond(
            selected, events, accept_embedding, EmbedChunks(selected.name), _embedding_error
        )

    async def embeddings(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.EmbeddingRequest, describe)
        selected = self._select_embedder(request, body.model, generates=bool(body.prompt))
        if not body.prompt:
            return self._load(selected, body, EmptyChunks({"embedding": []}))
        events = self._dependencies.embed(request, selected, translate.from_embedding(body))
        return self._respond(
            selected, events, accept_embedding, EmbeddingChunks(), _embedding_error
        )

    def _respond(
        self,
        selected: Selected,
        events: Callable[[], AsyncGenerator[Sequence[EventT]]],
        accept: Accept[EventT],
        chunks: Chunks[EventT],
        restate: Callable[[UpstreamError, str], GatewayError] = _client_error,
        *,
        streams: bool = False,
    ) -> EventResponse[EventT]:
        return EventResponse(
            events=events,
            accept=accept,
            chunks=chunks,
            framing=NDJSON,
            streams=streams,
            admission=self._dependencies.admission,
            to_client_error=lambda error: restate(error, selected.name),
            extra_headers=model_headers(selected),
        )

    def _load(
        self,
        selected: Selected,
        body: schema.ModelRequest | schema.EmbedRequest | schema.EmbeddingRequest,
        chunks: EmptyChunks,
    ) -> EventResponse[Event]:
        """Respond to a request without a prompt: it loads the model, or unloads it."""
        work = partial(load_or_unload, self._dependencies.keep_alive, selected, body.keep_alive)
        return self._respond(selected, work, accept_event, chunks)

    def _select_embedder(self, request: Request, name: str | None, *, generates: bool) -> Selected:
        """Return the model; the error for an unknown one differs from that of the other routes."""
        try:
            return self._dependencies.select(request, name, generates=generates, falls_back=False)
        except ModelNotFoundError as error:
            message = f'model "{(name or "")[:128]}" not found, try pulling it first'
            raise GatewayError(error.code, message, error.param) from None

    async def _render(self, selected: Selected, prompt: Prompt) -> Response:
        """Return the prompt as the model's chat template renders it."""
        tokens = await self._dependencies.tokenize(selected, prompt, str)
        return JsonResponse(
            {
                "model": selected.name,
                "created_at": timestamp(datetime.now(UTC)),
                "_debug_info": {"rendered_template": tokens.rendered or ""},
            }
        )


async def load_or_unload(
    keep_alive: KeepAlive, selected: Selected, seconds: float | None
) -> AsyncGenerator[Sequence[Event]]:
    """Load the model for this time, or unload it for 0 seconds; yield nothing."""
    if seconds == 0:
        await keep_alive.unload(selected.model)
    else:
        await keep_alive.load(selected.model, selected.name, seconds)
    return
    yield


def describe(details: ErrorDetails) -> InvalidRequestError:
    """Convert a validation error, with Ollama's message if it has one."""
    location, field = details["loc"], field_path(details)
    is_option = len(location) >= 2 and location[0] in ("options", "parameters")
    if is_option and details["type"] in _OPTION_TYPES:
        kind = _OPTION_TYPES[details["type"]]
        return InvalidRequestError(f'option "{location[1]}" must be of type {kind}', field)
    if details["type"] == "value_error" and len(location) == 1:
        return InvalidRequestError(reason(details), field)
    return InvalidRequestError(f"{field}: {reason(details)}", field)


def _embedding_error(error: UpstreamError, model: str) -> GatewayError:
    if error.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED:
        return UpstreamError(error.code, "the input length exceeds the context length", "input")
    return to_client_error(error, model, translate.embed_param)
