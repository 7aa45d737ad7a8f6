"""OpenAPI operations of Anthropic's Messages API."""

from sizeup_gateway.api.anthropic import response_schema, schema
from sizeup_gateway.api.documentation import (
    GENERATION,
    SSE_MEDIA_TYPE,
    AnthropicErrorResponse,
    Dialect,
)
from sizeup_telemetry.api_docs import stream_response

_ANTHROPIC = Dialect(AnthropicErrorResponse)
_STREAM = stream_response(
    SSE_MEDIA_TYPE,
    response_schema.MessageStreamEvent,
    "Server-sent events, named by their `type`; the last is message_stop, or an error, which is an "
    "AnthropicErrorResponse. Without `stream: true`, one object.",
    response_schema.AnthropicMessage,
)
_STATUSES = (*GENERATION, 529)

MESSAGES = _ANTHROPIC.operation("Create a message", _STREAM, _STATUSES, schema.MessagesRequest)
COUNT_TOKENS = _ANTHROPIC.json(
    "Count the tokens of a message",
    response_schema.MessageTokensCount,
    "The number of tokens",
    _STATUSES,
    schema.CountTokensRequest,
)
