"""Every field is checked: a value that it cannot have is rejected, and the error names it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from gateway.api.bad_bodies import GOOD, MESSAGES
from gateway.fake_inference import FakeInference
from gateway.harness import background_gateway

OPENAI: Mapping[str, Sequence[Any]] = {
    "reasoning_effort": ["bogus", True, 5],
    "reasoning": ["high"],
    "reasoning.effort": ["bogus"],
    "reasoning.enabled": ["yes"],
    "reasoning.exclude": [1],
    "reasoning.max_tokens": ["many"],
    "thinking": [True, "enabled"],
    "thinking.type": ["sometimes", None],
    "think": ["a lot", 5],
    "enable_thinking": ["no"],
    "include_reasoning": [0],
    "chat_template_kwargs": ["x"],
    "chat_template_kwargs.enable_thinking": ["no", 1],
    "chat_template_kwargs.thinking": ["no"],
    "metadata": [5, "x", ["a"]],
    "metadata.a": [5, None],
    "store": ["x", 1],
    "service_tier": ["gold", 5],
    "verbosity": ["max", 1],
    "modalities": ["text", ["text", "audio"]],
    "modalities.0": ["image"],
    "audio": [{"voice": "alloy", "format": "wav"}, 5],
    "web_search_options": [{}, {"search_context_size": "low"}],
    "moderation": [{"model": "omni-moderation-latest"}],
    "prediction": ["x"],
    "prediction.type": ["tokens"],
    "user": [5, ["a"]],
    "safety_identifier": [5],
    "prompt_cache_key": [[]],
    "prompt_cache_retention": ["1h", 5],
    "prompt_cache_options": ["x"],
    "prompt_cache_options.mode": ["always"],
    "stream_options": ["x", []],
    "stream_options.include_usage": ["yes", 1],
    "stream_options.include_obfuscation": ["yes"],
    "parallel_tool_calls": ["no", 1],
    "logprobs": [5, "yes"],
    "top_logprobs": ["2", True],
    "max_tokens": [1.5, "5", True],
    "max_completion_tokens": [-1, "5"],
    "n": [0, 1.5, True],
    "seed": ["1", True],
    "stop": [5, {}],
    "temperature": ["1", True, -1],
    "top_p": [-0.1, 1.1, "1"],
    "min_p": [-0.1, 1.1],
    "top_k": ["1", -2],
    "presence_penalty": ["1", 2.1, -2.1],
    "frequency_penalty": ["1", 2.1],
    "repetition_penalty": [0, "1"],
    "logit_bias": [5, [1], {"x": 1}],
    "logit_bias.1": ["x", True, 101],
    "ignore_eos": [1],
    "stop_token_ids": [5, "x"],
    "stream": ["yes", 1],
    "tools": [{}, "x"],
    "options": [[]],
    "options.num_ctx": [-1, "2k", True],
    "continue_final_message": ["yes"],
    "add_generation_prompt": ["yes"],
    "messages.0.name": [5],
    "messages.0.refusal": [5],
    "messages.0.reasoning": [{}],
    "messages.0.reasoning_content": [5],
    "messages.0.tool_call_id": [5],
    "messages.0.tool_calls": ["x", {}],
    "messages.0.function_call": ["x"],
    "messages.0.audio": [{"id": "audio_1"}],
}

OLLAMA: Mapping[str, Sequence[Any]] = {
    "options.typical_p": ["x"],
    "options.num_keep": ["4", 1.5, True],
    "options.num_batch": ["x"],
    "options.num_gpu": ["all"],
    "options.main_gpu": [True],
    "options.num_thread": [1.5],
    "options.draft_num_predict": ["x"],
    "options.use_mmap": [1, "yes"],
    "options.min_p": [-1, "x"],
    "options.repeat_last_n": ["x"],
    "options.think": ["a lot"],
    "shift": [1, "yes"],
    "truncate": ["no"],
    "stream": [1],
    "logprobs": ["yes"],
    "top_logprobs": ["5", 1.5],
    "think": [5, "bogus"],
    "keep_alive": [[], {}],
    "messages.0.thinking": [5],
    "messages.0.tool_name": [5],
    "messages.0.tool_call_id": [[]],
    "messages.0.tool_calls": ["x"],
}

GENERATE: Mapping[str, Sequence[Any]] = {
    "suffix": [5],
    "system": [5],
    "raw": ["yes"],
    "context": ["x", {}],
    "images": [["aGk="]],
    "template": ["{{ .Prompt }}"],
    "width": [512],
    "height": [512],
    "steps": [20],
}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with background_gateway(FakeInference) as url, httpx.Client(base_url=url) as client:
        yield client


def with_value(path: str, value: Any) -> dict[str, Any]:
    """Return a body of all routes in which the field at a path has a value."""
    first, *rest = path.split(".")
    for part in reversed(rest):
        value = [value] if part == "0" else {part: value}
    if first == "messages":
        value = [MESSAGES[0] | value[0]]
    streamed = {"stream": True} if first == "stream_options" else {}
    return GOOD | {"prompt": "hi"} | streamed | {first: value}


@pytest.mark.parametrize(
    ("route", "field", "value"),
    [
        pytest.param(route, field, value, id=f"{route}-{field}-{json.dumps(value)}")
        for route, table in (
            ("/v1/chat/completions", OPENAI),
            ("/api/chat", OLLAMA),
            ("/api/generate", GENERATE),
        )
        for field, values in table.items()
        for value in values
    ],
)
def test_a_value_that_a_field_cannot_have_is_named(
    http: httpx.Client, route: str, field: str, value: Any
) -> None:
    response = http.post(route, json=with_value(field, value))
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    if route.startswith("/v1"):
        assert error["param"] == field
    else:
        assert field.split(".")[-1] in error
