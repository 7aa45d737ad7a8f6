"""Untrusted input: never a 5xx, always the error shape of the dialect."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.api.bad_bodies import (
    COMPLETIONS,
    EVERYWHERE,
    GOOD,
    LIMIT,
    MESSAGES,
    ONLY_OLLAMA,
    ONLY_OPENAI,
    chat,
)
from gateway.api.error_shape import assert_shape
from gateway.fake_inference import FakeInference
from gateway.harness import MODEL, background_gateway
from sizeup_gateway.api.request_body import parse_object
from sizeup_gateway.errors import InvalidRequestError

OLLAMA, OPENAI = "/api/chat", "/v1/chat/completions"
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with background_gateway(FakeInference, max_body_bytes=LIMIT) as url:
        yield url


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client


def cases(table: dict[str, tuple[bytes, int]], *paths: str) -> list[Any]:
    return [
        pytest.param(path, body, status, id=f"{path}-{name}")
        for name, (body, status) in table.items()
        for path in paths
    ]


def check(http: httpx.Client, path: str, body: bytes, status: int) -> None:
    response = http.post(path, content=body)
    if status:
        assert response.status_code == status, response.text[:300]
    assert response.status_code < 500, response.text[:300]
    if response.status_code >= 400:
        assert_shape(path, response)
    assert len(response.content) < 4096


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        *cases(EVERYWHERE, OLLAMA, OPENAI),
        *cases(ONLY_OLLAMA, OLLAMA),
        *cases(ONLY_OPENAI, OPENAI),
        *cases(
            {
                name: (json.dumps({"model": MODEL} | body).encode(), status)
                for name, (body, status) in COMPLETIONS.items()
            },
            "/v1/completions",
        ),
    ],
)
def test_bad_input_is_rejected_in_the_shape_of_its_dialect(
    http: httpx.Client, path: str, body: bytes, status: int
) -> None:
    check(http, path, body, status)


@pytest.mark.parametrize("path", [OLLAMA, OPENAI, "/api/generate", "/v1/completions"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "x"]
)
def test_the_content_type_does_not_matter(http: httpx.Client, path: str, content_type: str) -> None:
    body = json.dumps(GOOD | {"prompt": "hi"}).encode()
    response = http.post(path, content=body, headers={"Content-Type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize("path", [OLLAMA, OPENAI])
def test_a_compressed_body_is_rejected(http: httpx.Client, path: str) -> None:
    response = http.post(path, content=chat(), headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415
    assert_shape(path, response)


@pytest.mark.parametrize("path", [OLLAMA, OPENAI])
def test_a_context_of_one_token_is_rejected(http: httpx.Client, path: str) -> None:
    response = http.post(path, content=chat(options={"num_ctx": 1}))
    assert response.status_code == 400
    assert_shape(path, response)
    assert "options.num_ctx: must be" in response.text
    assert http.post(path, content=chat(options={"num_ctx": 0})).status_code == 200


def test_every_content_encoding_header_counts(http: httpx.Client) -> None:
    headers = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    assert http.post(OLLAMA, content=chat(), headers=headers).status_code == 415


def test_a_number_with_many_digits_is_rejected(http: httpx.Client) -> None:
    response = http.post(OLLAMA, content=b'{"x":' + b"9" * 5000 + b"}")
    assert response.json() == {"error": "invalid JSON: a number is too long"}


@pytest.mark.parametrize(("path", "status"), [(OLLAMA, 503), (OPENAI, 429)])
def test_bodies_share_a_memory_budget_and_release_it(path: str, status: int) -> None:
    with background_gateway(FakeInference, max_bodies_bytes=100_000) as url:
        big = chat(x="a" * 120_000)
        for _ in range(3):
            response = httpx.post(url + path, content=big)
            assert (response.status_code, response.headers["Retry-After"]) == (status, "1")
            assert_shape(path, response)
            assert httpx.post(url + path, content=chat()).status_code == 200


@pytest.mark.parametrize("path", [OLLAMA, OPENAI])
def test_an_endless_chunked_body_is_rejected_before_it_ends(url: str, path: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        for _ in range(LIMIT // 0x10000 + 1):
            connection.sendall(chunk)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", [OLLAMA, OPENAI])
def test_a_body_that_does_not_arrive_times_out(path: str) -> None:
    with background_gateway(FakeInference, body_seconds=0.1) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n{{"
            connection.sendall(head.encode())
            received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert received.startswith(b"HTTP/1.1 408")
    assert isinstance(json.loads(received.partition(b"\r\n\r\n")[2])["error"], dict) == (
        path == OPENAI
    )


@pytest.mark.parametrize("path", [OLLAMA, OPENAI])
def test_a_content_length_above_the_limit_is_rejected_unread(url: str, path: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {10**9}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "head",
    [
        "POST {path} HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST {path} HTTP/1.1\r\nHost : h\r\n\r\n",
        "NONSENSE\r\n\r\n",
        "GET /api/version HTTP/1.1\r\n\r\n",
        "GET /api/version HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_malformed_http_is_a_400(url: str, head: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.format(path=OLLAMA).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
    ],
)
def test_an_illegal_name_is_invalid_in_openai_s_dialect(
    http: httpx.Client, method: str, path: str
) -> None:
    body = GOOD | {"model": "a b", "prompt": "hi"}
    response = http.request(method, path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "model"
    assert_shape(path, response)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/api/chat", {}, "model is required"),
        ("/api/generate", {}, "model '' not found"),
        ("/api/show", {}, "model is required"),
        ("/api/chat", {"model": "unknown"}, "model 'unknown' not found"),
        ("/api/generate", {"model": "unknown"}, "model 'unknown' not found"),
        ("/api/show", {"model": "unknown"}, "model 'unknown' not found"),
        ("/api/chat", {"model": "a b"}, "invalid model name"),
        ("/api/generate", {"model": "a b", "prompt": "hi"}, "invalid model name"),
        ("/api/show", {"model": "a/b/c/d"}, "invalid model name"),
        ("/api/compare", {"models": ["a b"], "prompt": "hi"}, "invalid model name"),
        ("/api/chat", GOOD | {"think": True}, f'"{MODEL}" does not support thinking'),
        (
            "/api/chat",
            GOOD | {"logprobs": True, "top_logprobs": 21},
            "top_logprobs must be between 0 and 20",
        ),
        (
            "/api/chat",
            GOOD | {"think": "x"},
            'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)',
        ),
        (
            "/api/chat",
            GOOD | {"options": {"temperature": "hot"}},
            'option "temperature" must be of type float32',
        ),
        (
            "/api/chat",
            GOOD | {"options": {"num_predict": "5"}},
            'option "num_predict" must be of type integer',
        ),
        (
            "/api/chat",
            GOOD | {"keep_alive": "10"},
            'time: missing unit in duration "10"',
        ),
        (
            "/api/generate",
            {"model": MODEL, "prompt": "x", "raw": True, "system": "y"},
            "raw mode does not support template, system, or context",
        ),
    ],
)
def test_messages_that_ollama_clients_compare(
    http: httpx.Client, path: str, body: dict[str, Any], text: str
) -> None:
    assert http.post(path, json=body).json() == {"error": text}


@pytest.mark.parametrize("prompt", [5, [], ["a", [5]], [[]], [1.5], ["a"] * 129, None])
def test_an_invalid_prompt_reports_the_valid_forms(http: httpx.Client, prompt: object) -> None:
    error = http.post("/v1/completions", json={"model": MODEL, "prompt": prompt}).json()["error"]
    assert error["param"] == "prompt"
    assert error["message"].startswith("prompt: must be a string, a list of token ids, or")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (GOOD | {"temperature": 3}, "temperature"),
        (GOOD | {"messages": []}, "messages"),
        ({"model": MODEL, "messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        (GOOD | {"logit_bias": {"1": 1e9}}, "logit_bias.1"),
        (GOOD | {"tool_choice": "required"}, "tool_choice"),
        (GOOD | {"response_format": {}}, "response_format.type"),
        (GOOD | {"response_format": {"type": "sound"}}, "response_format.type"),
        (GOOD | {"response_format": {"type": "json_schema"}}, "response_format"),
        (
            GOOD | {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
        ),
        (GOOD | {"guided_grammar": "root ::= x"}, "guided_grammar"),
        (
            GOOD | {"structured_outputs": {"structural_tag": "{}"}},
            "structured_outputs.structural_tag",
        ),
        (GOOD | {"guided_json": "{"}, "guided_json"),
        (GOOD | {"guided_choice": []}, "guided_choice"),
        (GOOD | {"guided_regex": "a", "guided_choice": ["a"]}, "guided_regex"),
        (GOOD | {"tool_choice": "any", "tools": [TOOL]}, "tool_choice"),
        (GOOD | {"tool_choice": {"type": "function"}, "tools": [TOOL]}, "tool_choice"),
        (GOOD | {"tool_choice": {"type": "custom", "name": "f"}, "tools": [TOOL]}, "tool_choice"),
        (
            GOOD
            | {"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [TOOL]},
            "tool_choice",
        ),
        (GOOD | {"function_call": {"name": "g"}, "functions": [TOOL["function"]]}, "function_call"),
        (GOOD | {"functions": [{"description": "no name"}]}, "functions.0"),
        (GOOD | {"functions": [TOOL["function"]], "tools": [TOOL]}, "functions"),
        ({"messages": MESSAGES}, "model"),
    ],
)
def test_openai_errors_name_the_field(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    assert http.post(OPENAI, json=body).json()["error"]["param"] == param


@pytest.mark.parametrize("item", ["1", "null", '"a,"'])
def test_a_body_with_too_many_items_is_rejected_before_it_is_parsed(item: str) -> None:
    items = ",".join([item] * (2**21 + 2 if item != '"a,"' else 2**20 + 2))
    with pytest.raises(InvalidRequestError):
        parse_object(f'{{"x":[{items}]}}'.encode())
