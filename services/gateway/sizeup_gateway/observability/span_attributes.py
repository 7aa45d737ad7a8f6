"""What the span of a request says of it: its log record, by OpenTelemetry's names and vLLM's."""

from collections.abc import Mapping

from sizeup_telemetry import request_id
from sizeup_telemetry.tracing.spans import current_span, fail

_OPERATIONS: Mapping[str, str] = {
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
}
"""gen_ai.operation.name by route."""
_NAMES: Mapping[str, str] = {
    "model": "gen_ai.request.model",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "first_token_seconds": "gen_ai.response.time_to_first_chunk",
    "api_key_name": "user.name",
}
"""By field of the log record. The model is that of the metrics, its key in the catalog."""


def annotate_span(fields: Mapping[str, object]) -> None:
    """Describe the current span, if the request is traced, by the fields of `request.finished`."""
    span = current_span()
    if span is None:
        return
    for field, name in _NAMES.items():
        value = fields.get(field)
        if isinstance(value, str | int | float):
            span.set_attribute(name, value)
    if operation := _OPERATIONS.get(str(fields["route"])):
        span.set_attribute("gen_ai.operation.name", operation)
    span.set_attribute("http.response.header.x-request-id", [request_id.current.get()])
    status, outcome = fields["status"], str(fields["outcome"])
    if outcome != "ok" and (not isinstance(status, int) or not 400 <= status < 500):
        fail(span, outcome)
