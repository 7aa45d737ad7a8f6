"""Handlers of the Responses API."""

import time
import uuid
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.dependencies import Dependencies, model_headers
from sizeup_gateway.api.openai.responses_api import documentation, schema, translate
from sizeup_gateway.api.openai.responses_api.chunks import ResponsesChunks
from sizeup_gateway.api.openai.responses_api.echo import to_response
from sizeup_gateway.api.openai.responses_api.items import ItemOptions
from sizeup_gateway.api.request_body import describe as describe_field
from sizeup_gateway.api.tool_choice import ignored_header
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.errors import ResponseNotFoundError
from sizeup_gateway.responses.event_response import EventResponse, accept_event
from sizeup_gateway.responses.framing import JsonResponse, named_events
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.events import Event
from sizeup_wire.generate import Sampling

describe = partial(describe_field, unions=("input", "tools"))


class ResponsesRoutes:
    """Handlers of /v1/responses."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def router(self) -> APIRouter:
        router = direct_router("OpenAI")
        path, one = "/v1/responses", "/v1/responses/{id}"
        router.post(path, **documentation.RESPONSES_CREATE)(self.create)
        router.post(f"{path}/input_tokens", **documentation.INPUT_TOKENS)(self.count)
        router.get(one, **documentation.NOT_STORED)(self.not_stored)
        router.delete(one, **documentation.NOT_STORED)(self.not_stored)
        router.post(f"{one}/cancel", **documentation.NOT_STORED)(self.not_stored)
        router.get(f"{one}/input_items", **documentation.NOT_STORED)(self.not_stored)
        return router

    async def create(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.ResponsesRequest, describe)
        selected = self._dependencies.select(request, body.model)
        wire, offered = translate.from_responses(body)
        info = selected.model.info
        response = to_response(
            body,
            wire,
            info.sampling if info else Sampling(),
            id=f"resp_{uuid.uuid4().hex}",
            created_at=int(time.time()),
            model=selected.name,
        )
        options = ItemOptions(
            names=offered.names,
            summarizes=bool(body.reasoning and body.reasoning.summary),
            seals=translate.REASONING in (body.include or ()),
        )
        chunks = ResponsesChunks(response, options)
        events = self._dependencies.generate(request, selected, [wire], translate.given(body))
        if body.stream:
            memory = self._dependencies.admission.memory
            events = partial(memory.stream, events, lambda: chunks.kept_bytes)
        return EventResponse[Event](
            events=events,
            accept=accept_event,
            chunks=chunks,
            framing=named_events(chunks.to_failed),
            streams=bool(body.stream),
            admission=self._dependencies.admission,
            to_client_error=partial(
                to_client_error, model=selected.name, to_param=translate.to_param
            ),
            extra_headers={**model_headers(selected), **ignored_header(offered.ignored)},
        )

    async def count(self, request: Request) -> Response:
        """Return the tokens of a prompt without generating."""
        body = await self._dependencies.read(request, schema.ResponseInput, describe)
        selected = self._dependencies.select(request, body.model)
        prompt, _, _ = translate.to_prompt(body)
        rendered = await self._dependencies.tokenize(selected, prompt, translate.to_param)
        tokens = len(rendered.token_ids)
        return JsonResponse({"object": "response.input_tokens", "input_tokens": tokens})

    async def not_stored(self, request: Request) -> Response:
        raise ResponseNotFoundError(request.path_params["id"])
