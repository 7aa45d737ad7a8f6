"""OpenAPI operations of Anthropic's Messages API."""

from sizeup_gateway.api.anthropic import response_schema, schema
from sizeup_gateway.api.documentation import ACCESS, GENERATION, errors, operation
from sizeup_gateway.api.error_schemas import AnthropicErrorResponse
from sizeup_telemetry.api_docs import json_response, stream_response

_FRAMING = (
    "Server-sent events, named by their `type`; the last is message_stop, or an error, which is an "
    "AnthropicErrorResponse. Without `stream: true`, one object."
)
_ERRORS = errors(AnthropicErrorResponse, *ACCESS, *GENERATION, 529)

MESSAGES = operation(
    "Create a message",
    stream_response(
        "text/event-stream",
        response_schema.MessageStreamEvent,
        _FRAMING,
        response_schema.AnthropicMessage,
    ),
    _ERRORS,
    schema.MessagesRequest,
)
COUNT_TOKENS = operation(
    "Count the tokens of a message",
    json_response(response_schema.MessageTokensCount, "The number of tokens"),
    _ERRORS,
    schema.CountTokensRequest,
)
