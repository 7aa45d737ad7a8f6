"""Ollama's routes."""

from collections.abc import AsyncGenerator, Awaitable
from datetime import UTC, datetime

from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sizeup_gateway.api.ollama import schema, translate
from sizeup_gateway.api.ollama.chunks import (
    ChatChunks,
    GenerateChunks,
    ResidenceReply,
    say,
    timestamp,
)
from sizeup_gateway.api.ollama.describe import to_process, to_show, to_tag
from sizeup_gateway.api.request_body import dotted, reason
from sizeup_gateway.api.service import JsonResponse, Service
from sizeup_gateway.errors import (
    InvalidRequestError,
    ModelNotFoundError,
    UnsupportedError,
)
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.responses.answer import Answer
from sizeup_gateway.responses.framing import Json, NdjsonFraming
from sizeup_gateway.routing.dispatcher import translated
from sizeup_wire.catalog import is_legal_name
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest, Prompt
from sizeup_wire.model import TokenizeRequest

API_VERSION = "0.12.11"
"""The Ollama release whose surface this is: the first with logprobs, before /v1/responses.

Clients split it at the dots and take each part for a number."""

_OPTION_TYPES = {
    "float_type": "float32",
    "int_type": "integer",
    "int_from_float": "integer",
    "string_type": "string",
    "list_type": "array",
}


class OllamaRoutes:
    """Serve /api and the heartbeat at /."""

    def __init__(self, service: Service, stream_default: translate.StreamDefault) -> None:
        """Decide what /api/chat does without `stream` by `stream_default`."""
        self._service = service
        self._stream_default = stream_default

    def routes(self) -> list[Route]:
        """List the routes; GET brings HEAD."""
        return [
            Route("/", self.heartbeat, methods=["GET"]),
            Route("/api/version", self.version, methods=["GET"]),
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/ps", self.processes, methods=["GET"]),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/chat", self.chat, methods=["POST"]),
            Route("/api/generate", self.generate, methods=["POST"]),
        ]

    async def heartbeat(self, _request: Request) -> Response:
        """Say what Ollama says."""
        return PlainTextResponse("Ollama is running")

    async def version(self, _request: Request) -> Response:
        """Say which API this is."""
        return JsonResponse({"version": API_VERSION})

    async def tags(self, _request: Request) -> Response:
        """List every model of the catalogue, the latest first."""
        now = datetime.now(UTC)
        tags = [to_tag(model, now) for model in self._service.models.by_key.values()]
        tags.sort(key=lambda tag: str(tag["modified_at"]), reverse=True)
        return JsonResponse({"models": tags})

    async def processes(self, _request: Request) -> Response:
        """List the models that have a process, those that are still loading among them."""
        now = datetime.now(UTC)
        models = [m for m in self._service.models.by_key.values() if m.is_present]
        return JsonResponse({"models": [to_process(model, now) for model in models]})

    async def show(self, request: Request) -> Response:
        """Describe one model."""
        body = await self._service.read(request, schema.ShowRequest, _describe)
        name = body.model or body.name or ""
        model = self._find(request, name)
        user_agent = request.headers.get("user-agent", "")
        return JsonResponse(to_show(model, name, user_agent, datetime.now(UTC)))

    async def chat(self, request: Request) -> Answer | Response:
        """Answer a conversation."""
        body = await self._service.read(request, schema.ChatRequest, _describe)
        name = body.model or ""
        model = self._find(request, name)
        if not body.messages:
            return self._reside(body, model, name, {"message": say("")})
        to_wire = translated(model, lambda: _from_chat(body, model, name))
        if body.debug_render_only:
            return await self._render(name, model, to_wire().prompt)
        accept = request.headers.get("accept", "")
        how = translate.delivery(body.stream, accept, name, self._stream_default)
        return Answer(
            events=lambda: self._service.dispatcher.generate(model, name, [to_wire]),
            chunks=ChatChunks(name, images=how.images),
            framing=NdjsonFraming(),
            streams=how.streams,
            admission=self._service.admission,
        )

    async def generate(self, request: Request) -> Answer | Response:
        """Answer one prompt."""
        body = await self._service.read(request, schema.GenerateRequest, _describe)
        name = body.model or ""
        if not name:
            raise ModelNotFoundError(name)
        model = self._find(request, name)
        if not body.prompt:
            return self._reside(body, model, name, {"response": ""})
        to_wire = translated(model, lambda: _from_generate(body, model, name))
        if body.debug_render_only:
            return await self._render(name, model, to_wire().prompt)
        return Answer(
            events=lambda: self._service.dispatcher.generate(model, name, [to_wire]),
            chunks=GenerateChunks(name),
            framing=NdjsonFraming(),
            streams=body.stream is not False,
            admission=self._service.admission,
        )

    def _reside(self, body: schema.ModelRequest, model: Model, name: str, said: Json) -> Answer:
        """Answer a request to load or unload a model: it has nothing to say."""
        unloads = body.keep_alive == 0

        async def reside() -> None:
            if unloads:
                await self._service.residence.unload(model)
            else:
                await self._service.residence.load(model, name, body.keep_alive)

        return Answer(
            events=lambda: _silent(reside()),
            chunks=ResidenceReply(name, said, "unload" if unloads else "load"),
            framing=NdjsonFraming(),
            streams=False,
            admission=self._service.admission,
        )

    async def _render(self, name: str, model: Model, prompt: Prompt) -> Response:
        """Show the text the model would see."""
        request = TokenizeRequest(prompt=prompt)
        with self._service.admission:
            tokens = await self._service.dispatcher.tokenize(model, name, request)
        return JsonResponse(
            {
                "model": name,
                "created_at": timestamp(datetime.now(UTC)),
                "_debug_info": {"rendered_template": tokens.rendered or ""},
            }
        )

    def _find(self, request: Request, name: str) -> Model:
        if not name:
            raise InvalidRequestError("model is required", "model")
        if not is_legal_name(name):
            raise InvalidRequestError("invalid model name", "model")
        return self._service.find(request, name)


async def _silent(work: Awaitable[None]) -> AsyncGenerator[Event]:
    """Do the work, and yield nothing."""
    await work
    return
    yield


def _from_chat(body: schema.ChatRequest, model: Model, name: str) -> GenerateRequest:
    """Translate for what is known of the model."""
    _check_abilities(body, model, name, tools=bool(body.tools))
    return translate.from_chat(body)


def _from_generate(body: schema.GenerateRequest, model: Model, name: str) -> GenerateRequest:
    """Translate for what is known of the model; one nothing is known of has a chat template."""
    _check_abilities(body, model, name, tools=False)
    has_template = model.info is None or bool(model.info.template)
    return translate.from_generate(body, has_template=has_template)


def _check_abilities(body: schema.ModelRequest, model: Model, name: str, *, tools: bool) -> None:
    """Refuse what the model cannot do, in Ollama's words."""
    if model.info is None:
        return
    if translate.thinks(body) and not model.can("thinking"):
        raise UnsupportedError(f'"{name}" does not support thinking', "think")
    if tools and not model.can("tools"):
        raise UnsupportedError(f'"{name}" does not support tools', "tools")


def _describe(details: ErrorDetails) -> InvalidRequestError:
    """Say a validation error as Ollama does where it has words for it."""
    where, field = details["loc"], dotted(details)
    if len(where) >= 2 and where[0] == "options" and details["type"] in _OPTION_TYPES:
        kind = _OPTION_TYPES[details["type"]]
        return InvalidRequestError(f'option "{where[1]}" must be of type {kind}', field)
    if details["type"] == "value_error" and len(where) == 1:
        return InvalidRequestError(reason(details), field)
    return InvalidRequestError(f"{field}: {reason(details)}", field)
