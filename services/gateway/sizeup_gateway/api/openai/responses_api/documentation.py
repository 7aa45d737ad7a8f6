"""OpenAPI operations of the Responses API."""

from sizeup_gateway.api.documentation import ACCESS, GENERATION, errors, operation
from sizeup_gateway.api.error_schemas import OpenAIErrorResponse
from sizeup_gateway.api.openai.responses_api import response_schema, schema
from sizeup_telemetry.api_docs import json_response, stream_response

_FRAMING = (
    "Server-sent events, named by their `type`. Exactly one of response.completed, "
    "response.incomplete and response.failed is the last. Without `stream: true`, one object."
)
_ERRORS = errors(OpenAIErrorResponse, *ACCESS, *GENERATION)

RESPONSES_CREATE = operation(
    "Create a response; nothing is stored",
    stream_response(
        "text/event-stream",
        response_schema.ResponseStreamEvent,
        _FRAMING,
        response_schema.ResponseObject,
    ),
    _ERRORS,
    schema.ResponsesRequest,
)
INPUT_TOKENS = operation(
    "Count the tokens of a prompt",
    json_response(response_schema.InputTokens, "The number of tokens"),
    _ERRORS,
    schema.ResponseInput,
)
NOT_STORED = operation(
    "Not found: responses are not stored", None, errors(OpenAIErrorResponse, *ACCESS, 404)
) | {"status_code": 404}
