"""OpenAPI operations of the comparison."""

from sizeup_gateway.api.compare import response_schema, schema
from sizeup_gateway.api.documentation import (
    LOOKUP,
    SSE_MEDIA_TYPE,
    Dialect,
    OllamaErrorResponse,
    OpenAIErrorResponse,
)
from sizeup_gateway.responses.framing import NDJSON_TYPE
from sizeup_telemetry.api_docs import stream_response

_OLLAMA, _OPENAI = Dialect(OllamaErrorResponse), Dialect(OpenAIErrorResponse)
_SUMMARY = "The same messages to several models"
_CHUNKS = (
    "The first and the last chunk are of the comparison; the others name their `model` and "
    "`sample`. Every answer ends in one chunk with `figures` or with its `failure`; an answer that "
    "fails leaves the others alone, and the status stays 200."
)

_OLLAMA_STREAM = stream_response(
    NDJSON_TYPE,
    response_schema.CompareChunk,
    f"NDJSON. {_CHUNKS}",
    response_schema.CompareResponse,
)
_OPENAI_STREAM = stream_response(
    SSE_MEDIA_TYPE,
    response_schema.OpenAICompareChunk,
    f"Server-sent events, the last one [DONE]. {_CHUNKS}",
    response_schema.OpenAICompareResponse,
)

OLLAMA_COMPARE = _OLLAMA.operation(_SUMMARY, _OLLAMA_STREAM, LOOKUP, schema.OllamaCompareRequest)
OPENAI_COMPARE = _OPENAI.operation(_SUMMARY, _OPENAI_STREAM, LOOKUP, schema.OpenAICompareRequest)
STOP = _OLLAMA.json(
    "Stop one model of a comparison",
    response_schema.StopResponse,
    "Its answers end as cancelled",
    LOOKUP,
    schema.StopRequest,
)
SIZES = _OLLAMA.json(
    "List the sizes, with their state, price and what the last load test measured",
    response_schema.SizesResponse,
    "Every model of the catalog, ascending by size",
)
