"""Tool calls while they are written: the streamed text is the JSON of the parsed arguments."""

import json

import pytest

from sizeup_inference.text.answer_parser import AnswerParser, Content, Part
from sizeup_inference.text.call_stream import CallArguments, CallEnded, CallStarted
from sizeup_inference.text.tool_call import Call


def run(text: str, size: int) -> list[Part]:
    parser = AnswerParser(thinking=False, is_thinking=False, tools=True, streams_calls=True)
    parts: list[Part] = []
    for start in range(0, len(text), size):
        parts += parser.feed(text[start : start + size])
    return parts + parser.flush()


def call(body: str) -> str:
    return f"<tool_call>\n{body}\n</tool_call>"


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "body",
    [
        '{"name": "f", "arguments": {"a": 1, "b": [2, {"c": "x, }"}]}}',
        '{"name":"f","arguments":{"a":"</tool_call> \\" } ] \\\\"}}',
        '{"name": "f", "parameters": {"a": "line\nbreak\ttab"}}',
        '{"name": "f", "arguments": {"a": [1, 2, ], "b": {}, } }',
        '{"name": "f", "arguments": {"a": "北京 👩‍👩‍👧"}}}',
        '<tool_call>{"name": "f", "arguments": {"a": true}}',
        '{"name": "f", "arguments": {"a": 1}, "id": 5}',
    ],
)
def test_streamed_arguments_are_those_of_the_call(body: str, size: int) -> None:
    started, *rest, ended = run(call(body), size)
    assert started == CallStarted("f")
    assert isinstance(ended, CallEnded)
    assert ended.call is not None
    texts = [part.text for part in rest if isinstance(part, CallArguments)]
    assert len(texts) == len(rest)
    assert json.loads("".join(texts)) == ended.call.arguments


def test_arguments_arrive_before_the_call_is_complete() -> None:
    parser = AnswerParser(thinking=False, is_thinking=False, tools=True, streams_calls=True)
    assert parser.feed('<tool_call>\n{"name": "f", ') == []
    assert parser.feed('"arguments": {"a": "lo') == [
        CallStarted("f"),
        CallArguments("{"),
        CallArguments('"a":"lo'),
    ]
    assert parser.feed("ng") == [CallArguments("ng")]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "body",
    [
        '{"name": "f", "arguments": {}}',
        '{"name": "f"}',
        '{"name": "f", "a": 1}',
        '{"arguments": {"a": 1}, "name": "f"}',
        '{"name": "f", "arguments": "{\\"a\\": 1}"}',
        '{"name": "f", "arguments": {}, "parameters": {"a": 1}}',
        json.dumps({"name": "f" * 2000, "arguments": {"a": 1}}),
    ],
)
def test_other_forms_come_as_a_whole(body: str, size: int) -> None:
    parts = run(call(body), size)
    assert len(parts) == 1
    assert isinstance(parts[0], Call)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("tail", ["", '"}}\n</tool_call>', "}}\n</tool_call> and more"])
def test_an_invalid_call_is_not_repeated_as_text(tail: str, size: int) -> None:
    parts = run('<tool_call>\n{"name": "f", "arguments": {"a": tru' + tail, size)
    assert parts[0] == CallStarted("f")
    assert CallEnded(None) in parts
    text = "".join(part.text for part in parts if isinstance(part, Content))
    assert "tool_call" not in text.removeprefix("</tool_call>")
    assert "arguments" not in text


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_calls_follow_one_another(size: int) -> None:
    body = '{"name": "f", "arguments": {"a": 1}}'
    parts = run(f"Hi {call(body)}\n{call(body)}", size)
    ended = [part for part in parts if isinstance(part, CallEnded)]
    assert [part.call for part in ended] == [Call("f", {"a": 1})] * 2
    assert sum(isinstance(part, CallStarted) for part in parts) == 2
