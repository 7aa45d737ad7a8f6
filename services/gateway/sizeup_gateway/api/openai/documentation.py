"""OpenAPI operations of OpenAI's API."""

from sizeup_gateway.api.documentation import ACCESS, GENERATION, MODEL_LOOKUP, errors, operation
from sizeup_gateway.api.error_schemas import OpenAIErrorResponse
from sizeup_gateway.api.openai import response_schema, schema
from sizeup_telemetry.api_docs import json_response, stream_response

_SSE = "text/event-stream"
_FRAMING = (
    "Server-sent events: `data: ` and one object, the last `data: [DONE]`. An error after the "
    "first event is an event with an OpenAIErrorResponse. Without `stream: true`, one object."
)
_ACCESS_ERRORS = errors(OpenAIErrorResponse, *ACCESS)
_GENERATION_ERRORS = errors(OpenAIErrorResponse, *ACCESS, *GENERATION)
_MODEL_PARAMETER = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Name of the model; may contain slashes",
    "schema": {"type": "string"},
}

MODELS = operation(
    "List models",
    json_response(response_schema.ModelList, "Every model of the catalog"),
    _ACCESS_ERRORS,
)
MODEL = operation(
    "Retrieve a model",
    json_response(response_schema.Model, "The model"),
    errors(OpenAIErrorResponse, *ACCESS, *MODEL_LOOKUP, 400),
) | {"openapi_extra": {"parameters": [_MODEL_PARAMETER]}}
CHAT_COMPLETIONS = operation(
    "Create a chat completion",
    stream_response(
        _SSE, response_schema.ChatCompletionChunk, _FRAMING, response_schema.ChatCompletion
    ),
    _GENERATION_ERRORS,
    schema.ChatCompletionRequest,
)
COMPLETIONS = operation(
    "Create a completion",
    stream_response(_SSE, response_schema.Completion, _FRAMING, response_schema.Completion),
    _GENERATION_ERRORS,
    schema.CompletionRequest,
)
EMBEDDINGS = operation(
    "Create embeddings",
    json_response(response_schema.CreateEmbeddingResponse, "A vector for each input"),
    _GENERATION_ERRORS,
    schema.CreateEmbeddingRequest,
)
