"""OpenAPI operations of the comparison."""

from sizeup_gateway.api.compare import response_schema, schema
from sizeup_gateway.api.documentation import (
    ACCESS,
    BODY,
    MODEL_LOOKUP,
    errors,
    operation,
)
from sizeup_gateway.api.error_schemas import OllamaErrorResponse, OpenAIErrorResponse
from sizeup_gateway.responses.framing import NDJSON_TYPE, SSE_TYPE
from sizeup_telemetry.api_docs import json_response, stream_response

_CHUNKS = (
    "The first and the last chunk are of the comparison; the others name their `model` and "
    "`sample`. Every answer ends in one chunk with `figures` or with its `failure`; an answer that "
    "fails leaves the others alone, and the status stays 200."
)

OLLAMA_COMPARE = operation(
    "The same messages to several models",
    stream_response(
        NDJSON_TYPE,
        response_schema.CompareChunk,
        f"NDJSON. {_CHUNKS}",
        response_schema.CompareResponse,
    ),
    errors(OllamaErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP),
    schema.OllamaCompareRequest,
)
OPENAI_COMPARE = operation(
    "The same messages to several models",
    stream_response(
        SSE_TYPE.partition(";")[0],
        response_schema.OpenAICompareChunk,
        f"Server-sent events, the last one [DONE]. {_CHUNKS}",
        response_schema.OpenAICompareResponse,
    ),
    errors(OpenAIErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP),
    schema.OpenAICompareRequest,
)
STOP = operation(
    "Stop one model of a comparison",
    json_response(response_schema.StopResponse, "Its answers end as cancelled"),
    errors(OllamaErrorResponse, *ACCESS, *BODY, *MODEL_LOOKUP),
    schema.StopRequest,
)
SIZES = operation(
    "List the sizes, with their state, price and what the last load test measured",
    json_response(response_schema.SizesResponse, "Every model of the catalog, ascending by size"),
    errors(OllamaErrorResponse, *ACCESS),
)
