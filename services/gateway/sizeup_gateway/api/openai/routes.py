"""OpenAI's routes."""

import time
import uuid
from collections.abc import Callable, Sequence

from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sizeup_gateway.api.openai import schema, translate
from sizeup_gateway.api.openai.chunks import ChatChunks, Heading
from sizeup_gateway.api.openai.completion_chunks import CompletionChunks
from sizeup_gateway.api.request_body import dotted, reason
from sizeup_gateway.api.service import JsonResponse, Service
from sizeup_gateway.errors import InvalidRequestError, UnsupportedError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.responses.answer import Answer
from sizeup_gateway.responses.framing import Json, SseFraming
from sizeup_gateway.routing.dispatcher import ToWire, translated
from sizeup_wire.generate import GenerateRequest

_OWNER = "sizeup"


class OpenAIRoutes:
    """Serve /v1."""

    def __init__(self, service: Service) -> None:
        """Use the gateway's parts."""
        self._service = service
        self._since = int(time.time())
        """`created` of models nothing is known of yet."""

    def routes(self) -> list[Route]:
        """List the routes; a model id may hold a slash."""
        return [
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.model, methods=["GET"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
        ]

    async def models(self, _request: Request) -> Response:
        """List every model of the catalogue."""
        models = self._service.models.by_key.values()
        data = [self._entry(model.listed_name, model) for model in models]
        return JsonResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """Describe one model under the name it was asked by."""
        name = request.path_params["model"]
        return JsonResponse(self._entry(name, self._service.find(request, name)))

    async def chat(self, request: Request) -> Answer:
        """Answer a conversation."""
        body = await self._service.read(request, schema.ChatRequest, _describe)
        model = self._find(request, body.model)
        to_wire = translated(model, lambda: _from_chat(body, model))
        wire = to_wire()
        heading = _heading("chatcmpl", body.model or "", model)
        logprobs = wire.logprobs is not None
        chunks = ChatChunks(heading, wire.n, usage=_wants_usage(body), logprobs=logprobs)
        return self._answer(body, chunks, model, [to_wire], translate.chat_param)

    async def completions(self, request: Request) -> Answer:
        """Continue one or several prompts."""
        body = await self._service.read(request, schema.CompletionRequest, _describe)
        model = self._find(request, body.model)
        wires = translate.from_completion(body)
        chunks = CompletionChunks(
            _heading("cmpl", body.model or "", model),
            len(wires) * wires[0].n,
            per_prompt=wires[0].n,
            usage=_wants_usage(body),
            logprobs=body.logprobs is not None,
        )
        prompts = [_always(wire) for wire in wires]
        return self._answer(body, chunks, model, prompts, translate.completion_param)

    def _answer(
        self,
        body: schema.SamplingRequest,
        chunks: ChatChunks | CompletionChunks,
        model: Model,
        prompts: Sequence[ToWire],
        to_param: Callable[[str], str],
    ) -> Answer:
        name, n = body.model or "", body.n or 1
        return Answer(
            events=lambda: self._service.dispatcher.generate(model, name, prompts, n),
            chunks=chunks,
            framing=SseFraming(),
            streams=bool(body.stream),
            admission=self._service.admission,
            to_param=to_param,
        )

    def _find(self, request: Request, name: str | None) -> Model:
        if not name:
            raise InvalidRequestError("model is required", "model")
        return self._service.find(request, name)

    def _entry(self, name: str, model: Model) -> Json:
        info = model.info
        entry: Json = {
            "id": name,
            "object": "model",
            "created": int(info.modified_at) if info else self._since,
            "owned_by": _OWNER,
            "state": model.state,
        }
        if info is not None:
            entry["max_model_len"] = info.context_length
        if model.progress is not None:
            entry["progress"] = model.progress
        return entry


def _from_chat(body: schema.ChatRequest, model: Model) -> GenerateRequest:
    """Translate for what is known of the model, or say what it cannot do."""
    if body.tools and body.tool_choice != "none" and model.info and not model.can("tools"):
        raise UnsupportedError(f'"{body.model}" does not support tools', "tools")
    return translate.from_chat(body)


def _always(wire: GenerateRequest) -> ToWire:
    """Give a request that means the same to every model."""
    return lambda: wire


def _wants_usage(body: schema.SamplingRequest) -> bool:
    """Tell whether a stream ends in a usage chunk; without a stream the option means nothing."""
    return bool(body.stream_options and body.stream_options.include_usage)


def _heading(prefix: str, name: str, model: Model) -> Heading:
    fingerprint = f"fp_{model.info.digest[:10]}" if model.info else None
    return Heading(f"{prefix}-{uuid.uuid4().hex}", int(time.time()), name, fingerprint)


def _describe(details: ErrorDetails) -> InvalidRequestError:
    """Name the field first, as OpenAI's messages do."""
    field = dotted(details)
    return InvalidRequestError(f"{field}: {reason(details)}", field)
