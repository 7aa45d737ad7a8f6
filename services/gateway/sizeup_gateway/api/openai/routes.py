"""Handlers of OpenAI's API."""

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.dependencies import Dependencies, model_headers
from sizeup_gateway.api.openai import documentation, schema, translate
from sizeup_gateway.api.openai.chunks import ChatChunks, Heading, fingerprint
from sizeup_gateway.api.openai.completion_chunks import CompletionChunks
from sizeup_gateway.api.openai.embedding_chunks import EmbeddingChunks
from sizeup_gateway.api.openai.reasoning import returns_reasoning
from sizeup_gateway.api.request_body import describe
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.models.selection import Selected, created_models
from sizeup_gateway.responses.event_response import EventResponse, accept_embedding, accept_event
from sizeup_gateway.responses.framing import SSE, Chunks, Json, JsonResponse
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.events import Event

_OWNER = "sizeup"


class OpenAIRoutes:
    """Handlers of /v1."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._started_at = int(time.time())
        """`created` of models that were never ready."""

    def router(self) -> APIRouter:
        """Create the router; the routes that are matched first serve most requests."""
        router = direct_router("OpenAI")
        router.post("/v1/chat/completions", **documentation.CHAT_COMPLETIONS)(self.chat_completions)
        router.post("/v1/completions", **documentation.COMPLETIONS)(self.completions)
        router.post("/v1/embeddings", **documentation.EMBEDDINGS)(self.embeddings)
        router.get("/v1/models", **documentation.MODELS)(self.models)
        router.get("/v1/models/{id:path}", **documentation.MODEL)(self.model)
        return router

    async def models(self, _request: Request) -> Response:
        models = self._dependencies.models
        data = [self._to_json(Selected(m, m.listed_name)) for m in models.by_key.values()]
        data += [self._to_json(created) for created in created_models(models)]
        return JsonResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """Describe one model under the name in the path."""
        name = request.path_params["id"]
        selected = self._dependencies.select(request, name, generates=False)
        return JsonResponse(self._to_json(replace(selected, name=name)))

    async def chat_completions(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(
            request, schema.ChatCompletionRequest, describe
        )
        selected = self._dependencies.select(request, body.model)
        wire = translate.from_chat(body)
        chunks = ChatChunks(
            _heading("chatcmpl", selected),
            wire.n,
            usage=_includes_usage(body),
            logprobs=wire.logprobs is not None,
            functions=bool(body.functions),
            reasoning=returns_reasoning(body),
        )
        given = translate.given(body)
        events = self._dependencies.generate(request, selected, [wire], given)
        return self._respond(body, selected, chunks, events, translate.chat_param)

    async def completions(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.CompletionRequest, describe)
        selected = self._dependencies.select(request, body.model)
        wires = translate.from_completion(body)
        chunks = CompletionChunks(
            _heading("cmpl", selected),
            len(wires) * wires[0].n,
            per_prompt=wires[0].n,
            best=(body.n or 1) if translate.ranks_choices(body) else None,
            usage=_includes_usage(body),
            logprobs=body.logprobs is not None,
        )
        events = self._dependencies.generate(request, selected, wires, translate.given(body))
        return self._respond(body, selected, chunks, events, translate.completion_param)

    async def embeddings(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(
            request, schema.CreateEmbeddingRequest, describe
        )
        selected = self._dependencies.select(request, body.model, falls_back=False)
        wire = translate.from_embedding(body)
        to_param = translate.embedding_param
        return EventResponse(
            events=self._dependencies.embed(request, selected, wire),
            accept=accept_embedding,
            chunks=EmbeddingChunks(selected.name, body.encoding_format or "float", body.dimensions),
            framing=SSE,
            streams=False,
            admission=self._dependencies.admission,
            to_client_error=partial(to_client_error, model=selected.name, to_param=to_param),
            extra_headers=model_headers(selected),
        )

    def _respond(
        self,
        body: schema.SamplingRequest,
        selected: Selected,
        chunks: Chunks[Event],
        events: Callable[[], AsyncGenerator[Sequence[Event]]],
        to_param: Callable[[str, str], str],
    ) -> EventResponse[Event]:
        return EventResponse(
            events=events,
            accept=accept_event,
            chunks=chunks,
            framing=SSE,
            streams=bool(body.stream),
            admission=self._dependencies.admission,
            to_client_error=partial(
                to_client_error,
                model=selected.name,
                to_param=lambda field: to_param(field, translate.structured_field(body)),
            ),
            extra_headers=model_headers(selected),
        )

    def _to_json(self, selected: Selected) -> Json:
        model, created = selected.model, selected.created
        info = model.info
        modified_at = info.modified_at if info else self._started_at
        entry: Json = {
            "id": selected.name,
            "object": "model",
            "created": int(created.modified_at if created else modified_at),
            "owned_by": _OWNER,
            "state": model.state,
        }
        if info is not None:
            entry["max_model_len"] = info.context_length
        if model.progress is not None:
            entry["progress"] = model.progress
        return entry


def _includes_usage(body: schema.SamplingRequest) -> bool:
    """Whether a stream ends with a usage chunk; a whole response always has the usage."""
    return bool(body.stream_options and body.stream_options.include_usage)


def _heading(prefix: str, selected: Selected) -> Heading:
    id = f"{prefix}-{uuid.uuid4().hex}"
    return Heading(id, int(time.time()), selected.name, fingerprint(selected.model))
