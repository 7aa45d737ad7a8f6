"""Building blocks of the OpenAPI document: errors of each dialect, and operations."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sizeup_telemetry.api_docs import json_response, request_body, stream_response

Json = dict[str, Any]


class ResponseBody(BaseModel):
    """Superclass of documented responses."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class OllamaErrorResponse(ResponseBody):
    """Error of Ollama's API: a response body, or the last line of a stream."""

    error: str


class OpenAIError(ResponseBody):
    """Details of an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorResponse(ResponseBody):
    """Error of OpenAI's API: a response body, or the last event of a stream before [DONE]."""

    error: OpenAIError


class AnthropicError(ResponseBody):
    """Details of an error."""

    type: str
    message: str


class AnthropicErrorResponse(ResponseBody):
    """Error of Anthropic's API: a response body, or the last event of a stream."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str


API_KEY_SCHEMES: Mapping[str, Json] = {
    "Bearer": {"type": "http", "scheme": "bearer"},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
"""Either of them is accepted on every path but the health probes."""
NO_API_KEY: Json = {"security": []}
"""`openapi_extra` of a route that requires no API key."""

_ERRORS: Mapping[int, str] = {
    400: "Invalid request, or the model lacks a requested feature",
    401: "API key missing or invalid",
    403: "Host or Origin not allowed, or the model is the operator's",
    404: "Model not found",
    408: "Request body not received in time",
    413: "Request body too large",
    414: "URL too long",
    415: "Content-Encoding not supported",
    429: "Too many requests; see Retry-After",
    431: "Request headers too large",
    500: "Internal error",
    501: "Not supported by this server",
    502: "Connection to the inference process lost",
    503: "Model not ready, or server busy or shutting down; see Retry-After",
    504: "Timed out",
    529: "Server busy; see Retry-After",
}

ACCESS = (400, 401, 403, 414, 429, 431, 500)
"""Statuses that any route can return. 400: invalid HTTP; 429: a limit of the client."""
LOOKUP = (*ACCESS, 404, 408, 413, 415, 503)
"""Of routes that read a body with the name of a model."""
GENERATION = (*LOOKUP, 502, 504)
"""Of routes that run a model."""
SSE_MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Makes the arguments of `add_api_route` that document a route."""

    error: type[BaseModel]
    framing: str = ""
    """How a stream of server-sent events is delimited."""

    def operation(
        self,
        summary: str,
        success: Json | None,
        statuses: Collection[int] = ACCESS,
        body: type[BaseModel] | None = None,
    ) -> Json:
        """Document the response 200, if there is one, and the dialect's error for `statuses`."""
        responses: dict[int, Json] = {} if success is None else {200: success}
        responses |= {
            status: json_response(self.error, _ERRORS[status]) for status in sorted({*statuses})
        }
        extra = None if body is None else request_body(body)
        return {"summary": summary, "responses": responses, "openapi_extra": extra}

    def json(
        self,
        summary: str,
        response: type[BaseModel],
        description: str,
        statuses: Collection[int] = ACCESS,
        body: type[BaseModel] | None = None,
    ) -> Json:
        """Document a route whose response is one JSON object."""
        return self.operation(summary, json_response(response, description), statuses, body)

    def stream(
        self, summary: str, item: type[BaseModel], whole: type[BaseModel], body: type[BaseModel]
    ) -> Json:
        """Document a route that generates, with a stream of server-sent events or as a whole."""
        success = stream_response(SSE_MEDIA_TYPE, item, self.framing, whole)
        return self.operation(summary, success, GENERATION, body)
