"""Errors of /v1/responses: before the stream, within it, and of what is not stored."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from gateway.api.openai.responses_api.parsing import parse
from gateway.fake_inference import (
    FakeInference,
    KillConnection,
    Script,
    events,
    fake_inference,
    finished,
    refusing,
    started,
)
from gateway.harness import MODEL, background_gateway, running_gateway
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text
from sizeup_wire.generate import GenerateRequest

PATH = "/v1/responses"
BODY: dict[str, Any] = {"model": MODEL, "input": "hi"}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with (
        background_gateway(FakeInference) as url,
        httpx.Client(base_url=url, timeout=10) as client,
    ):
        yield client


def error_of(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [5]}, "input.0"),
        ({"input": [{"type": 5}]}, "input.0"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0"),
        ({"input": [{"type": "computer_call"}]}, "input.0"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input.0.content",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input.0.content",
        ),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input.0.name"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input.0.output"),
        (
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_image", "image_url": "data:"}],
                    }
                ]
            },
            "input.0.output",
        ),
        ({"tools": [5]}, "tools.0"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools.0.name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{}]}]}, "tools.0.tools.0.type"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"reasoning": {"effort": "bogus"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "bogus"}}, "reasoning.summary"),
        ({"text": {"format": {"type": "sound"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
        ({"text": {"verbosity": 5}}, "text.verbosity"),
        ({"truncation": "bogus"}, "truncation"),
        ({"include": ["bogus"]}, "include.0"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"metadata": 5}, "metadata"),
        ({"metadata": {str(i): "" for i in range(17)}}, "metadata"),
        ({"metadata": {"a": 5}}, "metadata.a"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"stream_options": {}}, "stream_options"),
    ],
)
def test_a_field_at_fault_is_named(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    error = error_of(http.post(PATH, json=BODY | fields))
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_an_image_is_refused_by_name(http: httpx.Client) -> None:
    image = [{"type": "input_image", "image_url": "data:image/png;base64,"}]
    body = BODY | {"input": [{"role": "user", "content": image}]}
    assert "'input_image'" in error_of(http.post(PATH, json=body))["message"]


def test_what_a_client_may_send_without_effect_is_accepted(http: httpx.Client) -> None:
    fields = {
        "store": True, "background": False, "previous_response_id": None, "conversation": None,
        "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "auto",
        "max_tool_calls": 3, "unknown": {"x": 1}, "include": ["web_search_call.results"],
    }  # fmt: skip
    response = http.post(PATH, json=BODY | fields).json()
    assert response["store"] is False
    assert (response["user"], response["prompt_cache_key"]) == ("u", "k")
    assert (response["safety_identifier"], response["max_tool_calls"]) == ("s", 3)


def test_an_unknown_model(http: httpx.Client) -> None:
    assert error_of(http.post(PATH, json=BODY | {"model": "x"}), 404)["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{PATH}/resp_1"),
        ("DELETE", f"{PATH}/resp_1"),
        ("POST", f"{PATH}/resp_1/cancel"),
        ("GET", f"{PATH}/resp_1/input_items"),
    ],
)
def test_no_response_is_stored(http: httpx.Client, method: str, path: str) -> None:
    error = error_of(http.request(method, path), 404)
    assert (error["code"], error["param"]) == ("response_not_found", "response_id")
    assert "resp_1" in error["message"]


@pytest.mark.parametrize(("path", "allow"), [(PATH, "POST"), (f"{PATH}/input_tokens", "POST")])
def test_other_methods(http: httpx.Client, path: str, allow: str) -> None:
    response = http.put(path)
    error_of(response, 405)
    assert response.headers["Allow"] == allow


def ask(script: Script, body: dict[str, Any], **changes: Any) -> tuple[int, str]:
    async def scenario() -> tuple[int, str]:
        async with fake_inference(script) as fake, running_gateway(fake, **changes) as gateway:
            status, _, text = await gateway.post(PATH, BODY | body)
            return status, text

    return asyncio.run(scenario())


async def killed_midway(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    raise KillConnection


async def hanging(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    await asyncio.Event().wait()


INTERRUPTED = pytest.mark.parametrize(
    ("script", "status"),
    [
        (killed_midway, 502),
        (events(started(), Text(text="one")), 502),
        (events(started(), Text(text="one"), b"not json"), 500),
        (events(started(), Text(text="one"), Failed(code=ErrorCode.INTERNAL, message="x")), 500),
        (hanging, 504),
    ],
    ids=["killed", "no final event", "garbage", "failed", "deadline"],
)


@INTERRUPTED
def test_an_interrupted_stream_ends_with_exactly_one_terminal_event(
    script: Script, status: int
) -> None:
    got, text = ask(script, {"stream": True}, total_seconds=1.0, activation_seconds=1.0)
    assert got == 200
    sent = parse(text)
    assert sent[-1]["type"] == "response.failed"
    (item,) = sent[-1]["response"]["output"]
    assert (item["content"][0]["text"], item["status"]) == ("one", "incomplete")
    assert sent[-1]["response"]["error"]["code"] == "server_error"


@INTERRUPTED
def test_an_interrupted_whole_response_is_an_error_status(script: Script, status: int) -> None:
    got, text = ask(script, {}, total_seconds=1.0, activation_seconds=1.0)
    assert got == status
    assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_before_the_first_event_is_a_status(stream: bool) -> None:
    code = ErrorCode.CONTEXT_LENGTH_EXCEEDED
    status, text = ask(refusing(code, 400, param="prompt"), {"stream": stream})
    assert status == 400
    error = json.loads(text)["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")


def test_a_stream_that_keeps_too_much_fails() -> None:
    script = events(started(), *[Text(text="a" * 40_000)] * 3, finished(3))
    _, text = ask(script, {"stream": True}, max_response_bytes=2**16)
    last = parse(text)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "invalid_prompt"
    status, _ = ask(script, {}, max_response_bytes=2**16)
    assert status == 400
