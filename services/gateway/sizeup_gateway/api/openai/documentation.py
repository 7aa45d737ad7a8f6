"""OpenAPI operations of OpenAI's API."""

from sizeup_gateway.api.documentation import ACCESS, GENERATION, Dialect, OpenAIErrorResponse
from sizeup_gateway.api.openai import response_schema, schema

_OPENAI = Dialect(
    OpenAIErrorResponse,
    "Server-sent events: `data: ` and one object, the last `data: [DONE]`. An error after the "
    "first event is an event with an OpenAIErrorResponse. Without `stream: true`, one object.",
)
_MODEL_PARAMETER = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Name of the model; may contain slashes",
    "schema": {"type": "string"},
}

MODELS = _OPENAI.json("List models", response_schema.ModelList, "Every model of the catalog")
MODEL = _OPENAI.json("Retrieve a model", response_schema.Model, "The model", (*ACCESS, 404)) | {
    "openapi_extra": {"parameters": [_MODEL_PARAMETER]}
}
CHAT_COMPLETIONS = _OPENAI.stream(
    "Create a chat completion",
    response_schema.ChatCompletionChunk,
    response_schema.ChatCompletion,
    schema.ChatCompletionRequest,
)
COMPLETIONS = _OPENAI.stream(
    "Create a completion",
    response_schema.Completion,
    response_schema.Completion,
    schema.CompletionRequest,
)
EMBEDDINGS = _OPENAI.json(
    "Create embeddings",
    response_schema.CreateEmbeddingResponse,
    "A vector for each input",
    GENERATION,
    schema.CreateEmbeddingRequest,
)
