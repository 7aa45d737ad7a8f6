"""Building blocks of the OpenAPI document: errors of each dialect, and operations."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sizeup_telemetry.api_docs import json_response, request_body

Json = dict[str, Any]
Responses = Mapping[int, Json]


class ResponseBody(BaseModel):
    """Superclass of documented responses."""

    model_config = ConfigDict(use_attribute_docstrings=True)


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
MODEL_LOOKUP = (404,)
BODY = (408, 413, 415, 503)
GENERATION = (*BODY, *MODEL_LOOKUP, 502, 504)
"""Of routes that run a model."""


def errors(model: type[BaseModel], *statuses: int) -> Responses:
    """Document error responses with a dialect's error object."""
    return {status: json_response(model, _ERRORS[status]) for status in sorted(set(statuses))}


def operation(
    summary: str,
    success: Json | None,
    errors: Responses,
    body: type[BaseModel] | None = None,
) -> Json:
    """Return the arguments of `add_api_route` that document a route."""
    responses: dict[int, Json] = {} if success is None else {200: success}
    extra = request_body(body) if body is not None else None
    return {"summary": summary, "responses": {**responses, **errors}, "openapi_extra": extra}
