"""The parts of the gateway that the routes of both dialects use."""

from dataclasses import dataclass

from starlette.requests import Request

from sizeup_gateway.api.request_body import BodyReader, BodyT, Describe, validate
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.event_response import Admission
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.keep_alive import KeepAlive


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
