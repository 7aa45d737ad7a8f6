"""The OpenAPI document, and real responses validated against the schemas that it documents."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from starlette.routing import Route

from gateway.fake_inference import FakeInference, events, finished, model_info, started
from gateway.harness import MODEL, background_gateway, catalog, settings
from sizeup_gateway.api import health
from sizeup_gateway.api.anthropic import response_schema as anthropic
from sizeup_gateway.api.compare import response_schema as compare
from sizeup_gateway.api.documentation import (
    AnthropicErrorResponse,
    OllamaErrorResponse,
    OpenAIErrorResponse,
)
from sizeup_gateway.api.ollama import response_schema as ollama
from sizeup_gateway.api.openai import response_schema as openai
from sizeup_gateway.api.openai.responses_api import response_schema as responses_api
from sizeup_gateway.app import create_app
from sizeup_gateway.errors import AccessCode, http_form
from sizeup_telemetry.drain import Drain
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    FinishReason,
    PromptToken,
    PromptTokens,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    TopLogprob,
)

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": MODEL, "messages": MESSAGES}
RESPONSES = {"model": MODEL, "input": "hi"}
MESSAGE = {
    "model": MODEL,
    "max_tokens": 9,
    "messages": MESSAGES,
    "tools": [{"name": "f", "input_schema": {}}],
}
COMPARE = {"models": [MODEL], "messages": MESSAGES}
TOP = TopLogprob(token="a", bytes=(97,), logprob=-0.5)
LOGPROB = TokenLogprob(token="a", bytes=(97,), logprob=-0.5, top=(TOP,))


def inference() -> FakeInference:
    """Every kind of event in one response."""
    prompt = PromptTokens(text="a", tokens=(PromptToken(token="a", bytes=(97,), logprob=None),))
    script = events(
        started(),
        prompt,
        Thinking(text="hm", tokens=1),
        Text(text="a", tokens=1, logprobs=(LOGPROB,)),
        ToolCall(index=0, id="c1", name="f", arguments={"x": 1}),
        finished(3, FinishReason.TOOL_CALLS, context=(1, 2)),
    )
    return FakeInference(script, model_info(capabilities=("completion", "thinking", "tools")))


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with (
        background_gateway(inference) as url,
        httpx.Client(base_url=url, timeout=10) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_is_documented_with_responses_and_a_tag(document: dict[str, Any]) -> None:
    app = create_app(settings(), catalog(), CollectorRegistry(), Drain())
    routes = {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, Route) and route.include_in_schema
        for method in (route.methods or set()) - {"HEAD"}
    }
    documented = {(method, path) for method, path, _ in operations(document)}
    assert documented == routes
    for method, path, operation in operations(document):
        assert operation["tags"], path
        assert all("content" in response for response in operation["responses"].values()), path
        has_body = method in ("POST", "DELETE") and "200" in operation["responses"]
        assert ("requestBody" in operation) == has_body, path


def test_references_are_complete_and_schema_names_are_unique(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    references = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references == schemas.keys()
    assert not [name for name in schemas if "__" in name or "-" in name]


def test_every_error_status_of_generation_is_documented(document: dict[str, Any]) -> None:
    routing = {405, 501}
    forms = [http_form(code) for code in (*ErrorCode, *AccessCode)]
    ollama_statuses = {form.status for form in forms} | {429}
    openai_statuses = {form.openai_status or form.status for form in forms}
    anthropic_statuses = {form.anthropic_status or form.status for form in forms} | {429}
    for path, statuses in (
        ("/api/chat", ollama_statuses),
        ("/api/generate", ollama_statuses),
        ("/v1/chat/completions", openai_statuses),
        ("/v1/completions", openai_statuses),
        ("/api/embed", ollama_statuses),
        ("/api/embeddings", ollama_statuses),
        ("/v1/embeddings", openai_statuses),
        ("/v1/responses", openai_statuses),
        ("/v1/messages", anthropic_statuses),
    ):
        documented = {int(s) for s in document["paths"][path]["post"]["responses"]} - {200}
        assert statuses - routing <= documented, path


def test_the_parameters_of_every_path_are_documented(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path


def validate(schema: type[BaseModel], content: str) -> None:
    """Validate a JSON object against its documented schema; unknown fields are errors."""
    schema.model_validate_json(content, extra="forbid", strict=False)


@pytest.mark.parametrize(
    ("method", "path", "body", "schema"),
    [
        ("GET", "/api/version", None, ollama.VersionResponse),
        ("GET", "/api/tags", None, ollama.ListResponse),
        ("GET", "/api/ps", None, ollama.ProcessResponse),
        ("POST", "/api/show", {"model": MODEL}, ollama.ShowResponse),
        ("POST", "/api/chat", CHAT | {"stream": False, "logprobs": True}, ollama.ChatResponse),
        ("POST", "/api/chat", {"model": MODEL}, ollama.ChatResponse),
        ("POST", "/api/chat", CHAT | {"_debug_render_only": True}, ollama.DebugTemplateResponse),
        (
            "POST",
            "/api/generate",
            {"model": MODEL, "prompt": "a", "stream": False},
            ollama.GenerateResponse,
        ),
        ("POST", "/api/generate", {"model": MODEL}, ollama.GenerateResponse),
        ("POST", "/api/embed", {"model": MODEL, "input": ["a", "b"]}, ollama.EmbedResponse),
        ("POST", "/api/embed", {"model": MODEL}, ollama.EmbedResponse),
        ("POST", "/api/embeddings", {"model": MODEL, "prompt": "a"}, ollama.EmbeddingResponse),
        ("POST", "/api/embeddings", {"model": MODEL}, ollama.EmbeddingResponse),
        ("POST", "/api/chat", {"model": "unknown"}, OllamaErrorResponse),
        ("GET", "/v1/models", None, openai.ModelList),
        ("GET", f"/v1/models/{MODEL}", None, openai.Model),
        ("POST", "/v1/chat/completions", CHAT | {"logprobs": True}, openai.ChatCompletion),
        ("POST", "/v1/completions", {"model": MODEL, "prompt": "a"}, openai.Completion),
        (
            "POST",
            "/v1/completions",
            {"model": MODEL, "prompt": "a", "echo": True, "logprobs": 1},
            openai.Completion,
        ),
        (
            "POST",
            "/v1/embeddings",
            {"model": MODEL, "input": ["a", "b"]},
            openai.CreateEmbeddingResponse,
        ),
        (
            "POST",
            "/v1/embeddings",
            {"model": MODEL, "input": [1, 2], "encoding_format": "base64"},
            openai.CreateEmbeddingResponse,
        ),
        ("POST", "/v1/responses", RESPONSES | {"top_logprobs": 1}, responses_api.ResponseObject),
        ("POST", "/v1/responses/input_tokens", RESPONSES, responses_api.InputTokens),
        ("GET", "/v1/responses/resp_1", None, OpenAIErrorResponse),
        ("POST", "/v1/messages", MESSAGE, anthropic.AnthropicMessage),
        ("POST", "/v1/messages/count_tokens", MESSAGE, anthropic.MessageTokensCount),
        ("POST", "/v1/messages", {"model": "unknown"}, AnthropicErrorResponse),
        ("POST", "/v1/chat/completions", {"model": "unknown"}, OpenAIErrorResponse),
        ("GET", "/v1/nothing", None, OpenAIErrorResponse),
        ("POST", "/api/compare", COMPARE | {"stream": False}, compare.CompareResponse),
        ("POST", "/v1/compare", COMPARE, compare.OpenAICompareResponse),
        ("GET", "/api/sizes", None, compare.SizesResponse),
        ("POST", "/api/compare/stop", {"id": "x", "model": MODEL}, OllamaErrorResponse),
        ("GET", "/livez", None, health.StatusResponse),
        ("GET", "/readyz", None, health.StatusResponse),
        ("GET", "/health", None, health.HealthResponse),
    ],
)
def test_responses_have_the_documented_schema(
    http: httpx.Client, method: str, path: str, body: object, schema: type[BaseModel]
) -> None:
    validate(schema, http.request(method, path, json=body).text)


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [
        ("/api/chat", CHAT | {"logprobs": True}, ollama.ChatResponse),
        ("/api/generate", {"model": MODEL, "prompt": "a"}, ollama.GenerateResponse),
        (
            "/v1/chat/completions",
            CHAT | {"logprobs": True, "stream_options": {"include_usage": True}},
            openai.ChatCompletionChunk,
        ),
        (
            "/v1/completions",
            {"model": MODEL, "prompt": "a", "echo": True, "logprobs": 1},
            openai.Completion,
        ),
        (
            "/v1/responses",
            RESPONSES | {"top_logprobs": 1, "include": ["reasoning.encrypted_content"]},
            responses_api.ResponseStreamEvent,
        ),
        ("/v1/messages", MESSAGE, anthropic.MessageStreamEvent),
        ("/api/compare", COMPARE | {"logprobs": True}, compare.CompareChunk),
        ("/v1/compare", COMPARE | {"logprobs": True}, compare.OpenAICompareChunk),
    ],
)
def test_chunks_have_the_documented_schema(
    http: httpx.Client, path: str, body: dict[str, Any], schema: type[BaseModel]
) -> None:
    response = http.post(path, json=body | {"stream": True})
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    chunks = [line for line in lines if line != "[DONE]" and not line.startswith("event: ")]
    assert len(chunks) >= 3
    for chunk in chunks:
        validate(schema, chunk)


def test_the_documented_schemas_of_a_stream_are_those_of_the_route(
    document: dict[str, Any],
) -> None:
    for path, media_type, item in (
        ("/api/chat", "application/x-ndjson", "ChatResponse"),
        ("/api/generate", "application/x-ndjson", "GenerateResponse"),
        ("/v1/chat/completions", "text/event-stream", "ChatCompletionChunk"),
        ("/v1/completions", "text/event-stream", "Completion"),
        ("/v1/responses", "text/event-stream", "ResponseStreamEvent"),
        ("/v1/messages", "text/event-stream", "MessageStreamEvent"),
        ("/api/compare", "application/x-ndjson", "CompareChunk"),
        ("/v1/compare", "text/event-stream", "OpenAICompareChunk"),
    ):
        content = document["paths"][path]["post"]["responses"]["200"]["content"]
        schema = content[media_type]["schema"]
        assert schema["contentSchema"] == {"$ref": f"#/components/schemas/{item}"}
        assert "application/json" in content


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/swagger-ui.css"])
def test_the_docs_can_be_disabled(path: str) -> None:
    with background_gateway(FakeInference, api_docs=False) as url:
        response = httpx.get(url + path)
        assert response.status_code == 404
        validate(OllamaErrorResponse, response.text)


def test_the_document_has_the_security_schemes_if_keys_are_required(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret", encoding="utf-8")
    with background_gateway(FakeInference, api_keys_file=keys) as url:
        headers = {"X-Api-Key": "secret"}
        document = httpx.get(f"{url}/openapi.json", headers=headers).json()
    assert {one for entry in document["security"] for one in entry} == {"Bearer", "ApiKey"}
    assert document["components"]["securitySchemes"].keys() == {"Bearer", "ApiKey"}
    assert document["paths"]["/livez"]["get"]["security"] == []
