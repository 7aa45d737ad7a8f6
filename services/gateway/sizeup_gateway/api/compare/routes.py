"""Handlers of the comparison."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.compare import documentation, schema
from sizeup_gateway.api.compare.chunks import CompareChunks, Form
from sizeup_gateway.api.compare.forms import OllamaForm, OpenAIForm
from sizeup_gateway.api.compare.plan import chosen_models, conversations, make_plan, named
from sizeup_gateway.api.compare.sizes import measured_of, to_size
from sizeup_gateway.api.dependencies import Dependencies, identity_of
from sizeup_gateway.api.ollama import translate as from_ollama
from sizeup_gateway.api.ollama.manage.presets import with_preset
from sizeup_gateway.api.ollama.routes import describe as describe_ollama
from sizeup_gateway.api.ollama.schema import Message
from sizeup_gateway.api.openai import translate as from_openai
from sizeup_gateway.api.openai.message_schema import ChatCompletionMessageParam
from sizeup_gateway.api.request_body import BodyT
from sizeup_gateway.api.request_body import describe as describe_openai
from sizeup_gateway.comparison.comparisons import Comparisons
from sizeup_gateway.comparison.updates import Plan, Update
from sizeup_gateway.errors import (
    ComparisonNotFoundError,
    ModelNotFoundError,
    NotReadyError,
)
from sizeup_gateway.models.families import by_size
from sizeup_gateway.models.report import LoadTestReport
from sizeup_gateway.models.selection import Selected, select
from sizeup_gateway.observability.metrics import SEVERAL_MODELS
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.event_response import EventResponse
from sizeup_gateway.responses.framing import NDJSON, SSE, Framing, JsonResponse
from sizeup_telemetry.api_docs import direct_router
from sizeup_wire.generate import GenerateRequest

_GRACE_SECONDS = 5.0
"""After the last answer's own deadline, whose error is then part of a complete response."""


class CompareRoutes:
    def __init__(
        self, dependencies: Dependencies, comparisons: Comparisons, report: LoadTestReport
    ) -> None:
        self._dependencies = dependencies
        self._comparisons = comparisons
        self._report = report

    def router(self) -> APIRouter:
        router = direct_router("Comparison")
        router.post("/api/compare", **documentation.OLLAMA_COMPARE)(self.ollama)
        router.post("/v1/compare", **documentation.OPENAI_COMPARE)(self.openai)
        router.post("/api/compare/stop", **documentation.STOP)(self.stop)
        router.get("/api/sizes", **documentation.SIZES)(self.sizes)
        return router

    async def sizes(self, _request: Request) -> Response:
        """List every model of the catalog, ascending by size."""
        report = await self._report.models()
        models = by_size(self._dependencies.models.by_key.values())
        return JsonResponse({"models": [to_size(m, measured_of(m, report)) for m in models]})

    async def ollama(self, request: Request) -> Response:
        body = await self._dependencies.read(request, schema.OllamaCompareRequest, describe_ollama)

        def to_wire(messages: Sequence[Message]) -> GenerateRequest:
            return from_ollama.from_chat(body.model_copy(update={"messages": messages}))

        given = from_ollama.given(body)
        plan = self._plan(request, body, Message, body.messages, body.history, to_wire, given)
        streams = body.stream is not False
        return self._respond(request, plan, OllamaForm(), NDJSON, streams=streams)

    async def openai(self, request: Request) -> Response:
        body = await self._dependencies.read(request, schema.OpenAICompareRequest, describe_openai)

        def to_wire(messages: Sequence[ChatCompletionMessageParam]) -> GenerateRequest:
            return from_openai.from_chat(body.model_copy(update={"messages": messages}))

        kind, given = ChatCompletionMessageParam, from_openai.given(body)
        plan = self._plan(request, body, kind, body.messages, body.history, to_wire, given)
        streams = bool(body.stream)
        return self._respond(request, plan, OpenAIForm(plan), SSE, streams=streams)

    def _plan(
        self,
        request: Request,
        body: schema.CompareFields,
        kind: type[BodyT],
        messages: Sequence[BodyT] | None,
        history: Mapping[str, Sequence[BodyT]] | None,
        to_wire: Callable[[Sequence[BodyT]], GenerateRequest],
        given: Collection[str],
    ) -> Plan:
        """Plan a comparison whose messages are of this kind; `given` are wire fields it sets."""
        known = self._dependencies.models
        models = chosen_models(body, known)

        def to_message(role: str, text: str) -> BodyT:
            return kind.model_validate({"role": role, "content": text})

        by_key = conversations(
            body, messages, history, named(models, history or (), known), to_message
        )
        identity = identity_of(request)

        def with_settings(selected: Selected) -> GenerateRequest:
            whole = with_preset(selected.created, to_wire(by_key[selected.key]), given)
            return whole.model_copy(update=identity)

        return make_plan(body, models, with_settings)

    async def stop(self, request: Request) -> Response:
        """Stop one size of a comparison that this process runs."""
        body = await self._dependencies.read(request, schema.StopRequest, describe_ollama)
        try:
            name = select(self._dependencies.models, body.model).listed_name
        except (ModelNotFoundError, NotReadyError):
            name = body.model  # removed from the catalog since
        stopped = self._comparisons.stop(body.id, name, body.sample)
        if stopped is None:
            raise ComparisonNotFoundError(body.id)
        return JsonResponse({"stopped": stopped})

    def _respond(
        self, request: Request, plan: Plan, form: Form, framing: Framing, *, streams: bool
    ) -> EventResponse[Update]:
        metrics, limits = metrics_of(request.scope), self._comparisons.limits
        metrics.model = SEVERAL_MODELS
        turns = len(plan.answers) if plan.one_at_a_time else 1
        return EventResponse(
            events=partial(self._comparisons.run, plan, metrics.of_part),
            accept=lambda _update, _metrics: True,  # the metrics are those of each answer
            chunks=CompareChunks(form, plan),
            framing=framing,
            streams=streams,
            admission=self._dependencies.admission,
            to_client_error=lambda error: error,
            total_seconds=limits.total * turns + _GRACE_SECONDS,
        )
