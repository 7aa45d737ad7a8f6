"""OpenAPI operations of Ollama's API."""

from pydantic import BaseModel

from sizeup_gateway.api.documentation import (
    ACCESS,
    GENERATION,
    LOOKUP,
    NO_API_KEY,
    Dialect,
    Json,
    OllamaErrorResponse,
)
from sizeup_gateway.api.ollama import response_schema, schema
from sizeup_gateway.api.ollama.manage import schema as manage_schema
from sizeup_gateway.responses.framing import NDJSON_TYPE
from sizeup_telemetry.api_docs import Reference, stream_response

_OLLAMA = Dialect(OllamaErrorResponse)
_FRAMING = (
    "NDJSON: one object per line, the last with `done: true`. An error after the first line is a "
    "last line with an OllamaErrorResponse. With `stream: false`, one object."
)


def _stream(summary: str, item: type[BaseModel], body: type[BaseModel]) -> Json:
    response = stream_response(NDJSON_TYPE, item, _FRAMING)
    whole = [Reference(item), Reference(response_schema.DebugTemplateResponse)]
    response["content"]["application/json"] = {"schema": {"anyOf": whole}}
    return _OLLAMA.operation(summary, response, GENERATION, body)


_RUNNING = {
    "description": "The server is running",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
HEARTBEAT = {
    **_OLLAMA.operation("Heartbeat", _RUNNING, {*ACCESS} - {401}),
    "openapi_extra": NO_API_KEY,
}
VERSION = _OLLAMA.json(
    "Version of the API", response_schema.VersionResponse, "Ollama release whose API this is"
)
TAGS = _OLLAMA.json(
    "List models", response_schema.ListResponse, "Every model of the catalog and every created one"
)
PROCESSES = _OLLAMA.json(
    "List running models", response_schema.ProcessResponse, "Every model with an inference process"
)
SHOW = _OLLAMA.json(
    "Show model details", response_schema.ShowResponse, "The model", LOOKUP, schema.ShowRequest
)
CHAT = _stream("Chat completion", response_schema.ChatResponse, schema.ChatRequest)
GENERATE = _stream("Text completion", response_schema.GenerateResponse, schema.GenerateRequest)
EMBED = _OLLAMA.json(
    "Embed texts",
    response_schema.EmbedResponse,
    "A normalized vector for each input",
    GENERATION,
    schema.EmbedRequest,
)
EMBEDDINGS = _OLLAMA.json(
    "Embed one text (before /api/embed)",
    response_schema.EmbeddingResponse,
    "The vector",
    GENERATION,
    schema.EmbeddingRequest,
)

_CHANGE = (*LOOKUP, 501)
_CHANGED: Json = {"description": "Done", "content": {}}
_PROGRESS = stream_response(
    NDJSON_TYPE,
    response_schema.ProgressResponse,
    "NDJSON: one status per line, the last `success`. With `stream: false`, the last one.",
    response_schema.ProgressResponse,
)

PULL = _OLLAMA.operation(
    "Wait until a model is served", _PROGRESS, (*LOOKUP, 504), manage_schema.PullRequest
)
CREATE = _OLLAMA.operation(
    "Create a model: another one with settings of its own",
    _PROGRESS,
    (*_CHANGE, 504),
    manage_schema.CreateRequest,
)
COPY = _OLLAMA.operation("Copy a model", _CHANGED, _CHANGE, manage_schema.CopyRequest)
DELETE = _OLLAMA.operation("Delete a created model", _CHANGED, _CHANGE, manage_schema.DeleteRequest)
