"""The parts of the gateway that the routes of both dialects use."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from sizeup_gateway.api.request_body import BodyReader, BodyT, Describe, validate
from sizeup_gateway.cache_salt import salt_of
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.event_response import Admission
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.keep_alive import KeepAlive
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest


@dataclass(frozen=True, slots=True)
class Dependencies:
    models: Models
    dispatcher: Dispatcher
    keep_alive: KeepAlive
    admission: Admission
    reader: BodyReader

    async def read(self, request: Request, kind: type[BodyT], describe: Describe) -> BodyT:
        """Read and validate a body, or raise GatewayError."""
        return validate(kind, await self.reader.read(request), describe)

    def find(self, request: Request, name: str) -> Model:
        """Return the model that a request names, or raise ModelNotFoundError."""
        model = self.models.find(name)
        metrics_of(request.scope).model = model.key
        return model

    def generate(
        self, request: Request, model: Model, name: str, wires: Sequence[GenerateRequest]
    ) -> Callable[[], AsyncGenerator[Event]]:
        """Return the dispatch of wire requests, with the cache salt of the client's API key."""
        changes = {"cache_salt": salt_of(request.scope)}
        salted = [wire.model_copy(update=changes) for wire in wires]
        return partial(self.dispatcher.generate, model, name, salted)
