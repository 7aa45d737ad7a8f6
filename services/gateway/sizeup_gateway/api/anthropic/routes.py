"""Handlers of Anthropic's Messages API."""

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api import upstream_errors
from sizeup_gateway.api.anthropic import documentation, schema, translate
from sizeup_gateway.api.anthropic.chunks import MessageChunks
from sizeup_gateway.api.dependencies import Dependencies, model_headers
from sizeup_gateway.api.request_body import describe as describe_field
from sizeup_gateway.api.tool_choice import ignored_header
from sizeup_gateway.errors import (
    ANTHROPIC_ID_HEADER,
    GatewayError,
    UpstreamError,
    anthropic_body,
)
from sizeup_gateway.responses.event_response import EventResponse, accept_event
from sizeup_gateway.responses.framing import Json, JsonResponse, named_events
from sizeup_telemetry import request_id
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event

describe = partial(describe_field, unions=("content", "tools"))


class AnthropicRoutes:
    """Handlers of /v1/messages."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def router(self) -> APIRouter:
        router = direct_router("Anthropic")
        router.post("/v1/messages", **documentation.MESSAGES)(self.messages)
        router.post("/v1/messages/count_tokens", **documentation.COUNT_TOKENS)(self.count_tokens)
        return router

    async def messages(self, request: Request) -> Response:
        body = await self._dependencies.read_for_model(request, schema.MessagesRequest, describe)
        selected = self._dependencies.select(request, body.model)
        wire, ignored = translate.from_messages(body)
        omits_thinking = body.thinking is not None and body.thinking.display == "omitted"
        chunks = MessageChunks(
            f"msg_{uuid.uuid4().hex}", selected.name, omits_thinking=omits_thinking
        )
        return EventResponse[Event](
            events=self._dependencies.generate(request, selected, [wire], translate.given(body)),
            accept=accept_event,
            chunks=chunks,
            framing=named_events(partial(_last_events, chunks, request_id.current.get())),
            streams=bool(body.stream),
            admission=self._dependencies.admission,
            to_client_error=partial(_to_client_error, model=selected.name),
            extra_headers={**model_headers(selected), **ignored_header(ignored), **_id_header()},
        )

    async def count_tokens(self, request: Request) -> Response:
        """Count the tokens of the prompt that generating would have."""
        body = await self._dependencies.read(request, schema.CountTokensRequest, describe)
        selected = self._dependencies.select(request, body.model)
        prompt, _, _ = translate.to_prompt(body)
        rendered = await self._dependencies.tokenize(selected, prompt, translate.to_param)
        return JsonResponse({"input_tokens": len(rendered.token_ids)}, headers=_id_header())


def _id_header() -> Mapping[str, str]:
    return {ANTHROPIC_ID_HEADER: request_id.current.get()}


def _last_events(chunks: MessageChunks, request_id: str, error: GatewayError) -> Sequence[Json]:
    """Return the event of an error; none after the last event of a message."""
    return [] if chunks.ended else [anthropic_body(error, request_id)]


def _to_client_error(error: UpstreamError, model: str) -> GatewayError:
    """Restate an error of inference; clients look for the words about a prompt that is too long."""
    restated = upstream_errors.to_client_error(error, model, translate.to_param)
    if restated.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED:
        message = f"prompt is too long: {restated.message}"
        return UpstreamError(ErrorCode.CONTEXT_LENGTH_EXCEEDED, message, restated.param)
    return restated
