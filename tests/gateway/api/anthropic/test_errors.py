"""Every error of Anthropic's paths has Anthropic's shape."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.anthropic.parsing import parse
from gateway.fake_inference import (
    FakeInference,
    KillConnection,
    Script,
    events,
    fake_inference,
    finished,
    model_info,
    refusing,
    started,
)
from gateway.harness import MODEL, background_gateway, running_gateway, until
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text
from sizeup_wire.generate import GenerateRequest

PATH = "/v1/messages"
COUNT = f"{PATH}/count_tokens"
BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
}
USER = {"role": "user", "content": "hi"}
BOTH = pytest.mark.parametrize("path", [PATH, COUNT])


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with (
        background_gateway(FakeInference, max_body_bytes=100_000) as url,
        httpx.Client(base_url=url, timeout=10) as client,
    ):
        yield client


def check(
    body: dict[str, Any], headers: Mapping[str, str], kind: str = "invalid_request_error"
) -> str:
    """Assert the shape of an error and return its message."""
    assert set(body) == {"type", "error", "request_id"}
    assert (body["type"], set(body["error"])) == ("error", {"type", "message"})
    assert body["error"]["type"] == kind
    assert body["request_id"] == headers["request-id"] == headers["x-request-id"]
    message: str = body["error"]["message"]
    return message


def rejected(response: httpx.Response, status: int, kind: str = "invalid_request_error") -> str:
    assert response.status_code == status, response.text
    return check(response.json(), response.headers, kind)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
            "messages.0.content.0",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [{"type": "image"}],
                            }
                        ],
                    }
                ]
            },
            "messages.0.content.0.content",
        ),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image"}]}, "system"),
        ({"tools": [5]}, "tools.0"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tool_choice": {"type": "bogus"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"thinking": {"type": "bogus"}}, "thinking.type"),
        ({"output_config": {"effort": "bogus"}}, "output_config.effort"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
    ],
)
@BOTH
def test_a_field_at_fault_is_named(
    http: httpx.Client, path: str, fields: dict[str, Any], field: str
) -> None:
    assert rejected(http.post(path, json=BODY | fields), 400).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": 5}, "metadata"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_a_field_of_generation_at_fault_is_named(
    http: httpx.Client, fields: dict[str, Any], field: str
) -> None:
    assert rejected(http.post(PATH, json=BODY | fields), 400).startswith(f"{field}: ")


def test_max_tokens_is_required(http: httpx.Client) -> None:
    body = {name: value for name, value in BODY.items() if name != "max_tokens"}
    assert rejected(http.post(PATH, json=body), 400).startswith("max_tokens: ")
    assert http.post(COUNT, json=body).json() == {"input_tokens": 2}


def test_an_image_is_refused_by_name(http: httpx.Client) -> None:
    content = [{"type": "image", "source": {"type": "url", "url": "https://example.com"}}]
    body = BODY | {"messages": [{"role": "user", "content": content}]}
    assert "'image'" in rejected(http.post(PATH, json=body), 400)


@BOTH
def test_errors_before_the_fields(http: httpx.Client, path: str) -> None:
    rejected(http.post(path, json=BODY | {"model": "x"}), 404, "not_found_error")
    rejected(http.post(path, content=b"{"), 400)
    rejected(http.post(path, content=b""), 400)
    rejected(http.post(path, json=BODY | {"x": "a" * 100_001}), 413, "request_too_large")
    rejected(http.post(path, json=BODY, headers={"Content-Encoding": "gzip"}), 415)
    rejected(http.post(path, json=BODY, headers={"Host": "evil.example"}), 403, "permission_error")
    rejected(http.post(path, json=BODY, headers={"X-Sizeup-Fallback": "larger"}), 400)
    assert http.put(path).headers["Allow"] == "POST"
    rejected(http.put(path), 405)


def test_an_unknown_path_below(http: httpx.Client) -> None:
    rejected(http.get(f"{PATH}/batches"), 404, "not_found_error")


@BOTH
def test_an_api_key_is_required_in_either_header(tmp_path: Path, path: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret", encoding="utf-8")
    with background_gateway(FakeInference, api_keys_file=keys) as url:
        rejected(httpx.post(url + path, json=BODY), 401, "authentication_error")
        for headers in ({"x-api-key": "secret"}, {"Authorization": "Bearer secret"}):
            assert httpx.post(url + path, json=BODY, headers=headers).status_code == 200


@BOTH
def test_a_server_at_its_limit_is_overloaded(path: str) -> None:
    with background_gateway(FakeInference, max_in_flight=1, max_bodies_bytes=10_000) as url:
        response = httpx.post(url + path, json=BODY | {"x": "a" * 12_000})
        rejected(response, 529, "overloaded_error")
        assert response.headers["Retry-After"] == "1"


@BOTH
def test_a_model_that_is_not_ready_is_overloaded(path: str) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, queue_while_loading=False) as gateway,
        ):
            fake.ready = False
            await until(lambda: gateway.sample("replicas_ready", model="qwen2.5-0.5b") == 0)
            status, headers, text = await gateway.post(path, BODY)
        assert status == 503
        check(json.loads(text), headers, "overloaded_error")

    asyncio.run(scenario())


def test_a_model_without_tools() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    status, headers, text = ask(events(), BODY | {"tools": [tool]}, capabilities=("completion",))
    assert status == 400
    assert "does not support tools" in check(json.loads(text), headers)


def ask(
    script: Script,
    body: dict[str, Any],
    capabilities: tuple[str, ...] = ("completion", "tools"),
    **changes: Any,
) -> tuple[int, Mapping[str, str], str]:
    async def scenario() -> tuple[int, Mapping[str, str], str]:
        info = model_info(capabilities=capabilities)
        async with (
            fake_inference(script, info) as fake,
            running_gateway(fake, **changes) as gateway,
        ):
            return await gateway.post(PATH, BODY | body)

    return asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_reported_in_the_words_of_the_api(stream: bool) -> None:
    script = refusing(ErrorCode.CONTEXT_LENGTH_EXCEEDED, 400, "9 tokens", "prompt")
    status, headers, text = ask(script, {"stream": stream})
    assert status == 400
    assert check(json.loads(text), headers) == "prompt is too long: 9 tokens"


async def killed_midway(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    raise KillConnection


async def hanging(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("script", "status", "kind"),
    [
        (killed_midway, 502, "api_error"),
        (events(started(), Text(text="one")), 502, "api_error"),
        (
            events(started(), Text(text="one"), Failed(code=ErrorCode.INTERNAL, message="x")),
            500,
            "api_error",
        ),
        (
            events(started(), Text(text="one"), Failed(code=ErrorCode.BUSY, message="x")),
            529,
            "overloaded_error",
        ),
        (hanging, 504, "timeout_error"),
    ],
    ids=["killed", "no final event", "failed", "busy", "deadline"],
)
def test_an_interruption(script: Script, status: int, kind: str) -> None:
    got, headers, text = ask(script, {}, total_seconds=1.0, activation_seconds=1.0)
    assert got == status
    check(json.loads(text), headers, kind)
    got, headers, text = ask(script, {"stream": True}, total_seconds=1.0, activation_seconds=1.0)
    assert got == 200
    sent = parse(text)
    assert [e["delta"]["text"] for e in sent if e["type"] == "content_block_delta"] == ["one"]
    check(sent[-1], headers, kind)


def test_a_whole_message_is_limited_in_size() -> None:
    script = events(started(), *[Text(text="a" * 40_000)] * 3, finished(3))
    status, headers, text = ask(script, {}, max_response_bytes=2**16)
    assert status == 400
    check(json.loads(text), headers)
    assert parse(ask(script, {"stream": True}, max_response_bytes=2**16)[2])
