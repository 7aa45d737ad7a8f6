"""Request bodies whose cost could grow with their size instead of the model's context.

Shared by `long_inputs.py` and the test of what they are answered.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

MIB = 2**20
_BODY = 19 * MIB
"""Below the gateway's default limit of 20 MiB."""
_MESSAGE = 12 * MIB


@dataclass(frozen=True, slots=True)
class Input:
    """A request for one model."""

    path: str
    body: Callable[[str], bytes]
    """Made of the model's name."""
    status: int = 400
    """Of the response."""


def _words(size: int) -> str:
    return "The quick brown fox jumps over it. " * (size // 35)


def _json(path: str, **fields: Any) -> Input:
    return Input(path, lambda model: json.dumps({"model": model, **fields}).encode())


def _ollama(path: str, **fields: Any) -> Input:
    """Return a request that Ollama's API cuts to the context."""
    return _served(_json(path, stream=False, options={"num_predict": 1}, **fields))


def _served(one: Input) -> Input:
    return replace(one, status=200)


def _user(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def _chat(content: str, path: str = "/v1/chat/completions", **fields: Any) -> Input:
    return _json(path, messages=_user(content), **fields)


def _short(**fields: Any) -> Input:
    """A chat whose message fits, with other fields that are large."""
    return _chat("hi", max_tokens=1, **fields)


def _raw(fields: bytes) -> Input:
    return Input(
        "/v1/chat/completions", lambda model: b'{"model":"%s",%s}' % (model.encode(), fields)
    )


def _tool(name: str, description: str = "") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description}}


def _history(turns: int, size: int) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": _words(size)} for i in range(turns - 1)] + _user("hi")


def _deep(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def _calls(arguments: object) -> list[dict[str, Any]]:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [*_user("hi"), {"role": "assistant", "tool_calls": [call]}, *_user("go on")]


def _schema(properties: int) -> dict[str, Any]:
    fields: dict[str, object] = {str(i): {} for i in range(properties)}
    described = {"name": "a", "schema": {"properties": fields}}
    return {"type": "json_schema", "json_schema": described}


def _create(model: str) -> bytes:
    return json.dumps({"model": "a", "from": model, "system": _words(_MESSAGE)}).encode()


def _long_name(_model: str) -> bytes:
    return json.dumps({"model": "a" * MIB, "messages": _user("hi")}).encode()


def _per_model(path: str, **fields: Any) -> Input:
    def body(model: str) -> bytes:
        return json.dumps({"models": [model], "stream": False, **fields}).encode()

    return Input(path, body)


INPUTS: Mapping[str, Input] = {
    "message of 1 MB": _chat(_words(MIB)),
    "message of 12 MB": _chat(_words(_MESSAGE)),
    "message of 12 MB without spaces": _chat("a" * _MESSAGE),
    "message of 12 MB of spaces": _chat(" " * _MESSAGE),
    "message of 12 MB of <": _chat("<" * _MESSAGE),
    "message of 12 MB of <|im_end|>": _chat("<|im_end|>" * (_MESSAGE // 10)),
    "message of 12 MB of emoji": _chat("\U0001f469\u200d" * (_MESSAGE // 12)),
    "message of 12 MB of combining marks": _chat("e" + "\u0301" * (_MESSAGE // 6)),
    "message of 12 MB, cut": _ollama("/api/chat", messages=_user(_words(_MESSAGE))),
    "system prompt of 12 MB, cut": _ollama(
        "/api/chat", messages=[{"role": "system", "content": _words(_MESSAGE)}, *_user("hi")]
    ),
    "history of 4,096 messages, cut": _ollama("/api/chat", messages=_history(4096, 2800)),
    "history of 4,096 messages": _json("/v1/chat/completions", messages=_history(4096, 2800)),
    "history of 100,000 messages": _json("/v1/chat/completions", messages=_history(100_000, 100)),
    "prompt of 12 MB, cut": _ollama("/api/generate", prompt=_words(_MESSAGE)),
    "raw prompt of 12 MB, cut": _ollama("/api/generate", prompt=_words(_MESSAGE), raw=True),
    "suffix of 12 MB": _json("/api/generate", prompt="hi", suffix=_words(_MESSAGE)),
    "context of 1,000,000 ids": _ollama("/api/generate", prompt="hi", context=[7] * 1_000_000),
    "completion of 12 MB": _json("/v1/completions", prompt=_words(_MESSAGE)),
    "128 prompts of 100 kB": _json("/v1/completions", prompt=[_words(100_000)] * 128),
    "prompt of 4,000,000 ids": _json("/v1/completions", prompt=[7] * 4_000_000),
    "2,048 inputs to embed of 9 kB": _json("/v1/embeddings", input=[_words(9000)] * 2048),
    "input to embed of 12 MB, cut": _ollama("/api/embed", input=_words(_MESSAGE)),
    "20 inputs to embed of 900 kB, cut": _ollama("/api/embed", input=[_words(900_000)] * 20),
    "1,024 tools of 10 kB": _short(tools=[_tool(f"f{i}", _words(10_000)) for i in range(1024)]),
    "10,000 tools": _short(tools=[_tool(f"f{i}") for i in range(10_000)]),
    "description of 12 MB of a tool": _short(tools=[_tool("f", _words(_MESSAGE))]),
    "arguments of 12 MB of a call": _json(
        "/v1/chat/completions", messages=_calls(json.dumps({"a": _words(_MESSAGE)})), max_tokens=1
    ),
    "arguments nested 60 deep": _served(
        _json("/v1/chat/completions", messages=_calls(json.dumps(_deep(60))), max_tokens=1)
    ),
    "stop string of 12 MB": _short(stop=[_words(_MESSAGE)]),
    "1,000,000 stop strings": _short(stop=["a"] * 1_000_000),
    "6,000,000 invalid stop strings": _short(stop=[1] * 6_000_000),
    "6,000,000 invalid content blocks": _json(
        "/v1/messages", messages=[{"role": "user", "content": [1] * 6_000_000}], max_tokens=1
    ),
    "logit_bias of 200,000 keys": _short(logit_bias={str(i): 1 for i in range(200_000)}),
    "schema of 200,000 properties": _short(response_format=_schema(200_000)),
    "image of 12 MB": _json("/api/chat", messages=[{**_user("hi")[0], "images": ["A" * _MESSAGE]}]),
    "200,000 invalid metadata": _short(metadata={str(i): i for i in range(200_000)}),
    "metadata of 12 MB": _served(_short(metadata={"a": _words(_MESSAGE)})),
    "input of 12 MB": _json("/v1/responses", input=_words(_MESSAGE), max_output_tokens=1),
    "100,000 input items": _json("/v1/responses", input=_history(100_000, 100)),
    "count of 12 MB": _json("/v1/messages/count_tokens", messages=_user(_words(_MESSAGE))),
    "Anthropic message of 12 MB": _json(
        "/v1/messages", messages=_user(_words(_MESSAGE)), max_tokens=1
    ),
    "model name of 1 MB": Input("/v1/chat/completions", _long_name),
    "comparison of 12 MB": _served(_per_model("/api/compare", messages=_user(_words(_MESSAGE)))),
    "created model of 12 MB": Input("/api/create", _create),
    "6,000,000 empty strings": _raw(b'"a":[' + b'"",' * (_BODY // 3) + b'""]'),
    "900,000 objects": _raw(b'"a":[' + b'{"a":1},' * 900_000 + b"{}]"),
    "900,000 lists": _raw(b'"a":[' + b"[]," * 900_000 + b"[]]"),
    "1,500,000 keys": _raw(b'"a":{' + b",".join(b'"%d":1' % i for i in range(1_500_000)) + b"}"),
    "10,000,000 numbers": _raw(b'"a":[' + b"1," * (_BODY // 2) + b"1]"),
    "19 MB of escapes": _raw(b'"a":"' + b"\\n" * (_BODY // 2) + b'"'),
}
"""By what they contain; most are refused."""
