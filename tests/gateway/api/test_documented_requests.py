"""The documented schemas of requests beside what the routes accept."""

from typing import Any

import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from gateway.harness import catalog, settings
from sizeup_gateway.app import create_app
from sizeup_telemetry.api_docs import referenced
from sizeup_telemetry.drain import Drain

APP = create_app(settings(), catalog(), CollectorRegistry(), Drain())
REQUESTS = {
    model.__name__: model
    for route in APP.routes
    if isinstance(route, APIRoute)
    for model in referenced(route.openapi_extra)
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return APP.openapi()


@pytest.mark.parametrize(
    ("name", "field", "valid", "invalid"),
    [
        ("ChatCompletionRequest", "top_logprobs", [0, 20, 2.0, None], [21, -1, "2"]),
        ("ChatCompletionRequest", "logit_bias", [{"5": 1}, None], [{"x": 1}, {"5": 101}]),
        ("ChatCompletionRequest", "stop", ["a", ["a", "b"]], ["", [""], ["a"] * 65]),
        (
            "ChatCompletionRequest",
            "tool_choice",
            ["auto", {"type": "function", "name": "f"}, None],
            ["bogus", 5],
        ),
        ("ChatCompletionRequest", "function_call", ["none", {"name": "f"}], ["required"]),
        ("ChatCompletionRequest", "think", [True, "low", None], ["bogus", 5]),
        (
            "ChatCompletionRequest",
            "tools",
            [[{"type": "function", "function": {"name": "f"}}], [{"function": {"name": "f"}}]],
            [[{}], [{"function": {}}], [{"type": "web", "function": {"name": "f"}}]],
        ),
        ("CompletionRequest", "n", [1, 16], [0, 17]),
        ("CompletionRequest", "prompt", ["", ["a"], [1], [[1]]], [[], [[]], ["a"] * 129, [-1]]),
        ("CompletionRequest", "stop_token_ids", [[1, 2.0]], [[-1], [1.5]]),
        ("CreateEmbeddingRequest", "input", ["a", ["a"], [1], [[1]]], ["", [], [""], ["a"] * 2049]),
        ("ChatRequest", "format", ["json", "", {}, True, None], ["yaml", 5]),
        ("ChatRequest", "keep_alive", [5, -1, "5m", "1h30m", "-1s", "0"], ["", "10", "5 m"]),
        ("ChatRequest", "top_logprobs", [0, 20, None], [21, -1]),
        ("MessagesRequest", "max_tokens", [1, 16.0], [-1, 1.5]),
        ("ResponsesRequest", "max_tool_calls", [1, 2.0], [0]),
        ("OllamaCompareRequest", "samples", [1, 8, 2.0], [0, 9]),
    ],
)
def test_the_documented_schema_of_a_field_accepts_what_the_route_accepts(
    document: dict[str, Any], name: str, field: str, valid: list[Any], invalid: list[Any]
) -> None:
    schema = document["components"]["schemas"][name]["properties"][field]
    documented = Draft202012Validator(schema | {"components": document["components"]})
    model = REQUESTS[name]
    for value in (*valid, *invalid):
        try:
            model.model_validate({field: value})
            errors = []
        except ValidationError as error:
            errors = [one for one in error.errors() if one["loc"][0] == field]
        assert documented.is_valid(value) is not bool(errors), value
        assert (value in valid) is not bool(errors), value
