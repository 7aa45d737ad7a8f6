"""Handlers of /api/embed and /api/embeddings."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.dependencies import Dependencies, model_headers
from sizeup_gateway.api.ollama import documentation, schema, translate
from sizeup_gateway.api.ollama.chunks import EmbedChunks, EmbeddingChunks, EmptyChunks
from sizeup_gateway.api.ollama.routes import describe, load_or_unload
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.errors import (
    GatewayError,
    ModelNotFoundError,
    UpstreamError,
)
from sizeup_gateway.models.selection import Selected
from sizeup_gateway.responses.event_response import (
    Accept,
    EventResponse,
    accept_embedding,
    accept_event,
)
from sizeup_gateway.responses.framing import NDJSON, Chunks, Json
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.errors import ErrorCode

EventT = TypeVar("EventT")


class EmbeddingRoutes:
    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def router(self) -> APIRouter:
        router = direct_router("Ollama")
        router.post("/api/embed", **documentation.EMBED)(self.embed)
        router.post("/api/embeddings", **documentation.EMBEDDINGS)(self.embeddings)
        return router

    async def embed(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.EmbedRequest, describe)
        if not body.model:
            raise ModelNotFoundError("")
        selected = self._select(request, body.model, generates=bool(body.input))
        if not body.input:
            return self._load(selected, body.keep_alive, {"model": selected.name, "embeddings": []})
        wire = translate.from_embed(body)
        return self._embed(request, selected, wire, EmbedChunks(selected.name))

    async def embeddings(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.EmbeddingRequest, describe)
        selected = self._select(request, body.model, generates=bool(body.prompt))
        if not body.prompt:
            return self._load(selected, body.keep_alive, {"embedding": []})
        return self._embed(request, selected, translate.from_embedding(body), EmbeddingChunks())

    def _embed(
        self, request: Request, selected: Selected, wire: EmbedRequest, chunks: Chunks[EmbedEvent]
    ) -> Response:
        events = self._dependencies.embed(request, selected, wire)
        return self._respond(selected, events, accept_embedding, chunks)

    def _load(self, selected: Selected, seconds: float | None, response: Json) -> Response:
        work = partial(load_or_unload, self._dependencies.keep_alive, selected, seconds)
        return self._respond(selected, work, accept_event, EmptyChunks(response))

    def _respond(
        self,
        selected: Selected,
        events: Callable[[], AsyncGenerator[Sequence[EventT]]],
        accept: Accept[EventT],
        chunks: Chunks[EventT],
    ) -> Response:
        return EventResponse(
            events=events,
            accept=accept,
            chunks=chunks,
            framing=NDJSON,
            streams=False,
            admission=self._dependencies.admission,
            to_client_error=partial(_to_client_error, model=selected.name),
            extra_headers=model_headers(selected),
        )

    def _select(self, request: Request, name: str | None, *, generates: bool) -> Selected:
        """Return the model; the error for an unknown one differs from that of the other routes."""
        try:
            return self._dependencies.select(request, name, generates=generates, falls_back=False)
        except ModelNotFoundError as error:
            message = f'model "{(name or "")[:128]}" not found, try pulling it first'
            raise GatewayError(error.code, message, error.param) from None


def _to_client_error(error: UpstreamError, model: str) -> GatewayError:
    if error.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED:
        return UpstreamError(error.code, "the input length exceeds the context length", "input")
    return to_client_error(error, model, translate.embed_param)
