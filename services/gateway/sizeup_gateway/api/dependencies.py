"""The parts of the gateway that the routes of all dialects use."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from sizeup_gateway import client_identity
from sizeup_gateway.api.ollama.manage.presets import prompt_with_preset, with_preset
from sizeup_gateway.api.request_body import BodyReader, BodyT, Describe, parse
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.errors import BusyError, GatewayError, InvalidRequestError, UpstreamError
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.selection import Selected, select
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.event_response import Admission
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.keep_alive import KeepAlive
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest, Prompt
from sizeup_wire.model import TokenizeRequest, TokenizeResponse

FALLBACK_HEADER = "X-Sizeup-Fallback"
"""`smaller`: where the model is not ready, the next smaller size that is; or `none`."""
_INPUTS = ("messages", "prompt", "suffix", "input")
"""Fields of a request that computes; in one without any, they are empty."""
FALLBACKS = ("none", "smaller")
MODEL_HEADER = "X-Sizeup-Model"
"""Of responses: the listed name of the model that serves the request."""
COMPUTING_PATHS = frozenset(
    {
        "/api/chat",
        "/api/generate",
        "/api/embed",
        "/api/embeddings",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
    }
)
"""Of the requests that `Dependencies.read_for_model` reads."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    models: Models
    dispatcher: Dispatcher
    keep_alive: KeepAlive
    admission: Admission
    reader: BodyReader
    fallback: str
    """Where a request has no FALLBACK_HEADER."""

    async def read(self, request: Request, kind: type[BodyT], describe: Describe) -> BodyT:
        """Read and validate a body, or raise GatewayError."""
        return await self.reader.read(request, lambda raw: parse(kind, raw, describe))

    async def read_for_model(
        self, request: Request, kind: type[BodyT], describe: Describe
    ) -> BodyT:
        """Read and validate a body whose model computes a response.

        Raises BusyError as well, before any further work, while the model has no place for the
        client.
        """
        check = partial(self._check_room, request)
        return await self.reader.read(request, lambda raw: parse(kind, raw, describe, check))

    def _check_room(self, request: Request, body: Mapping[str, object]) -> None:
        name = body.get("model")
        loads = not any(body.get(field) for field in _INPUTS)  # the model, or unloads it
        if loads or not isinstance(name, str):
            return
        try:
            model = select(self.models, name).model
        except GatewayError:
            return  # described once the body is known to be valid
        if not model.current_places().has_room(client_identity.current.get()):
            metrics_of(request.scope).model = model.key
            raise BusyError

    def select(
        self, request: Request, name: str | None, *, generates: bool = True, falls_back: bool = True
    ) -> Selected:
        """Return the model that serves a request.

        Raises ModelNotFoundError, NotReadyError, and InvalidRequestError without a name. Only
        requests that generate fall back to a smaller size: vectors of two models cannot be
        compared.
        """
        if not name:
            raise InvalidRequestError("model is required", "model")
        asked = request.headers.get(FALLBACK_HEADER, self.fallback).lower()
        if asked not in FALLBACKS:
            raise InvalidRequestError(f"{FALLBACK_HEADER} must be one of {', '.join(FALLBACKS)}")
        fall_back = generates and falls_back and asked == "smaller"
        selected = select(self.models, name, fall_back=fall_back)
        metrics = metrics_of(request.scope)
        metrics.model = selected.model.key
        if generates:
            instead_of = selected.instead_of
            metrics.record_selection(selected.virtual, instead_of.key if instead_of else None)
        return selected

    def generate(
        self,
        request: Request,
        selected: Selected,
        wires: Sequence[GenerateRequest],
        given: Collection[str],
    ) -> Callable[[], AsyncGenerator[Sequence[Event]]]:
        """Return the dispatch of wire requests, with the client and its API key's cache salt.

        A created model adds its settings, except for the `given` fields.
        """
        changes = identity_of(request)
        whole = [
            with_preset(selected.created, wire, given).model_copy(update=changes) for wire in wires
        ]
        return partial(self.dispatcher.generate, selected.model, selected.name, whole)

    def embed(
        self, request: Request, selected: Selected, wire: EmbedRequest
    ) -> Callable[[], AsyncGenerator[Sequence[EmbedEvent]]]:
        """Return the dispatch of a batch, as in `generate`."""
        identified = wire.model_copy(update=identity_of(request))
        return partial(self.dispatcher.embed, selected.model, selected.name, identified)

    async def tokenize(
        self, selected: Selected, prompt: Prompt, to_param: Callable[[str], str]
    ) -> TokenizeResponse:
        """Return the prompt that generating would have: its tokens, and its text."""
        request = TokenizeRequest(prompt=prompt_with_preset(selected.created, prompt))
        try:
            with self.admission.held():
                return await self.dispatcher.tokenize(selected.model, selected.name, request)
        except UpstreamError as error:
            raise to_client_error(error, selected.name, to_param) from error


def identity_of(request: Request) -> Mapping[str, str | None]:
    """Return the fields of a wire request that say whose it is."""
    salt, client = client_identity.salt_of(request.scope), client_identity.current.get()
    return {"cache_salt": salt, "client": client or None}


def model_headers(selected: Selected) -> Mapping[str, str]:
    """Return the response headers that say which model serves a request."""
    return {MODEL_HEADER: selected.model.listed_name}
