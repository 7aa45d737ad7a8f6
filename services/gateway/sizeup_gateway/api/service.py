"""What the routes of both dialects share."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.request_body import B, BodyReader, Describe, validate
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.observability.request_metrics import observation_of
from sizeup_gateway.responses.answer import Admission
from sizeup_gateway.responses.framing import JSON_TYPE
from sizeup_gateway.responses.json_bytes import encode
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.keep_alive import Residence


class JsonResponse(Response):
    """JSON with its charset, as Ollama says it."""

    media_type = JSON_TYPE

    def render(self, content: Any) -> bytes:
        """Write the body."""
        return encode(content)


@dataclass(frozen=True, slots=True)
class Service:
    """The gateway's parts, as the routes use them."""

    models: Models
    dispatcher: Dispatcher
    residence: Residence
    admission: Admission
    reader: BodyReader

    async def read(self, request: Request, kind: type[B], describe: Describe) -> B:
        """Read and validate a body, or raise GatewayError."""
        return validate(kind, await self.reader.read(request), describe)

    def find(self, request: Request, name: str) -> Model:
        """Find the model a request names, or raise ModelNotFoundError."""
        model = self.models.find(name)
        observation_of(request.scope).model = model.key
        return model
