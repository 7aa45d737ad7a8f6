"""OpenAPI operations of Ollama's API."""

from sizeup_gateway.api.documentation import (
    ACCESS,
    BODY,
    GENERATION,
    MODEL_LOOKUP,
    NO_API_KEY,
    Json,
    errors,
    operation,
)
from sizeup_gateway.api.error_schemas import OllamaErrorResponse
from sizeup_gateway.api.ollama import response_schema, schema
from sizeup_gateway.api.ollama.manage import schema as manage_schema
from sizeup_gateway.responses.framing import NDJSON_TYPE
from sizeup_telemetry.api_docs import Reference, json_response, stream_response

_FRAMING = (
    "NDJSON: one object per line, the last with `done: true`. An error after the first line is a "
    "last line with an OllamaErrorResponse. With `stream: false`, one object."
)
_ACCESS_ERRORS = errors(OllamaErrorResponse, *ACCESS)
_GENERATION_ERRORS = errors(OllamaErrorResponse, *ACCESS, *GENERATION)


def _stream(
    item: type[response_schema.ChatResponse] | type[response_schema.GenerateResponse],
) -> dict[str, object]:
    response = stream_response(NDJSON_TYPE, item, _FRAMING)
    whole = [Reference(item), Reference(response_schema.DebugTemplateResponse)]
    response["content"]["application/json"] = {"schema": {"anyOf": whole}}
    return response


HEARTBEAT = {
    **operation(
        "Heartbeat",
        {
            "description": "The server is running",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        errors(OllamaErrorResponse, *(status for status in ACCESS if status != 401)),
    ),
    "openapi_extra": NO_API_KEY,
}
VERSION = operation(
    "Version of the API",
    json_response(response_schema.VersionResponse, "Ollama release whose API this is"),
    _ACCESS_ERRORS,
)
TAGS = operation(
    "List models",
    json_response(response_schema.ListResponse, "Every model of the catalog and every created one"),
    _ACCESS_ERRORS,
)
PROCESSES = operation(
    "List running models",
    json_response(response_schema.ProcessResponse, "Every model with an inference process"),
    _ACCESS_ERRORS,
)
SHOW = operation(
    "Show model details",
    json_response(response_schema.ShowResponse, "The model"),
    errors(OllamaErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP),
    schema.ShowRequest,
)
CHAT = operation(
    "Chat completion",
    _stream(response_schema.ChatResponse),
    _GENERATION_ERRORS,
    schema.ChatRequest,
)
GENERATE = operation(
    "Text completion",
    _stream(response_schema.GenerateResponse),
    _GENERATION_ERRORS,
    schema.GenerateRequest,
)
EMBED = operation(
    "Embed texts",
    json_response(response_schema.EmbedResponse, "A normalized vector for each input"),
    _GENERATION_ERRORS,
    schema.EmbedRequest,
)
EMBEDDINGS = operation(
    "Embed one text (before /api/embed)",
    json_response(response_schema.EmbeddingResponse, "The vector"),
    _GENERATION_ERRORS,
    schema.EmbeddingRequest,
)


_CHANGE_ERRORS = errors(OllamaErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP, 501)
_CHANGED: Json = {"description": "Done", "content": {}}
_PROGRESS = stream_response(
    NDJSON_TYPE,
    response_schema.ProgressResponse,
    "NDJSON: one status per line, the last `success`. With `stream: false`, the last one.",
)
_PROGRESS["content"]["application/json"] = {"schema": Reference(response_schema.ProgressResponse)}

PULL = operation(
    "Wait until a model is served",
    _PROGRESS,
    errors(OllamaErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP, 504),
    manage_schema.PullRequest,
)
CREATE = operation(
    "Create a model: another one with settings of its own",
    _PROGRESS,
    {**_CHANGE_ERRORS, **errors(OllamaErrorResponse, 504)},
    manage_schema.CreateRequest,
)
COPY = operation("Copy a model", _CHANGED, _CHANGE_ERRORS, manage_schema.CopyRequest)
DELETE = operation("Delete a created model", _CHANGED, _CHANGE_ERRORS, manage_schema.DeleteRequest)
