"""OpenAPI operations of the Responses API."""

from sizeup_gateway.api.documentation import ACCESS, GENERATION, Dialect, OpenAIErrorResponse
from sizeup_gateway.api.openai.responses_api import response_schema, schema

_OPENAI = Dialect(
    OpenAIErrorResponse,
    "Server-sent events, named by their `type`. Exactly one of response.completed, "
    "response.incomplete and response.failed is the last. Without `stream: true`, one object.",
)

RESPONSES_CREATE = _OPENAI.stream(
    "Create a response; nothing is stored",
    response_schema.ResponseStreamEvent,
    response_schema.ResponseObject,
    schema.ResponsesRequest,
)
INPUT_TOKENS = _OPENAI.json(
    "Count the tokens of a prompt",
    response_schema.InputTokens,
    "The number of tokens",
    GENERATION,
    schema.ResponseInput,
)
NOT_STORED = {
    **_OPENAI.operation("Not found: responses are not stored", None, (*ACCESS, 404)),
    "status_code": 404,
}
