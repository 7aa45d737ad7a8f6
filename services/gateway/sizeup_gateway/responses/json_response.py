"""A JSON response that is known as a whole."""

from typing import Any

from starlette.responses import Response

from sizeup_gateway.responses.framing import JSON_TYPE
from sizeup_gateway.responses.json_bytes import encode


class JsonResponse(Response):
    """JSON with a charset in its Content-Type, as Ollama sends it."""

    media_type = JSON_TYPE

    def render(self, content: Any) -> bytes:
        return encode(content)
