"""Tool calls in the many forms in which small models write them."""

import json
from typing import Any

import pytest

from sizeup_inference.text.tool_call import END, Call, EndFinder, parse_call

CALL = Call("add", {"a": 1, "b": [2]})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '"add"',
        '{"name": 1, "arguments": {}}',
        '{"name": "", "arguments": {}}',
        '{"arguments": {}}',
        '{"name": "add", "arguments": "a"}',
        '{"name": "add", "arguments": [1]}',
        '{"name": "add", "arguments": {"a": 1e999}}',
        '{"name": "add", "arguments": {"a": ' + "[" * 100 + "]" * 100 + "}}",
        '{"name": "add", "arguments": "[1]"}',
        '{"name": "add", "arguments": {}} and more',
        '{"name": "add", "arguments": {"a": 1,,}}',
        '{"name": "add", "arguments": {"a": NaN}}',
        '{"name": "add", "arguments": {"a": "\\ud800"}}',
        '{"name": "add", "arguments": ' + "[" * 100_000 + "}",
        '{"name": "add", "arguments": {"a": ' + "9" * 5000 + "}}",
    ],
)
def test_an_invalid_call_is_none(body: str) -> None:
    assert parse_call(body) is None


def test_a_call_without_arguments_has_none() -> None:
    assert parse_call(json.dumps({"name": "now"})) == Call("now", {})


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "add", "arguments": {"a": 1, "b": [2]}}',
        '\n{"arguments": {"a": 1, "b": [2]}, "name": "add"}\n',
        '{"name": "add", "parameters": {"a": 1, "b": [2]}}',
        '{"name": "add", "arguments": {}, "parameters": {"a": 1, "b": [2]}}',
        '{"name": "add", "arguments": null, "parameters": {"a": 1, "b": [2]}}',
        '{"name": "add", "a": 1, "b": [2]}',
        json.dumps({"name": "add", "arguments": json.dumps({"a": 1, "b": [2]})}),
        '{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": [2]}}}',
        '{"name": "add", "arguments": {"a": 1, "b": [2]}}}',
        '{"name": "add", "arguments": {"a": 1, "b": [2]}},',
        '{"name": "add", "arguments": {"a": 1, "b": [2,],},}',
        '{"name": "add", "arguments": {"a": 1 , "b": [2] , } }',
        '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": [2]}}',
    ],
)
def test_the_same_call_in_many_forms(body: str) -> None:
    assert parse_call(body) == CALL


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ('{"name": "f", "arguments": null}', {}),
        ('{"name": "f", "arguments": ""}', {}),
        ('{"name": "f", "id": "1", "type": "function"}', {}),
        ('{"name": "f", "id": 5, "type": "a"}', {"id": 5, "type": "a"}),
        ('{"name": "f", "arguments": {"t": "a\nb\tc"}}', {"t": "a\nb\tc"}),
        ('{"name": "f", "arguments": {"t": "x,}",}}', {"t": "x,}"}),
        ('{"name": "f", "arguments": {"t": "\\",}",}}', {"t": '",}'}),
        ('{"name": "f", "arguments": {"name": "n"}}', {"name": "n"}),
    ],
)
def test_arguments_are_kept_as_they_were_meant(body: str, arguments: dict[str, Any]) -> None:
    assert parse_call(body) == Call("f", arguments)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "before", ["", "{}", '{"t": "</tool_call>"}', '{"t": "\\"</tool_call>"}', '"\\\\"', "<</tool_"]
)
def test_the_end_is_found_outside_of_strings_for_any_split(before: str, size: int) -> None:
    text, finder = before + END, EndFinder()
    ends = [finder.find(text[:length]) for length in range(size, len(text) + size, size)]
    assert ends[-1] == len(before)
    assert set(ends[:-1]) <= {None}


def test_an_unclosed_string_has_no_end() -> None:
    assert EndFinder().find('{"t": "' + END) is None


def test_a_long_call_is_looked_at_once() -> None:
    finder, text = EndFinder(), '{"t": "' + "x" * 100_000
    for length in range(1000, len(text), 1000):
        assert finder.find(text[:length]) is None
    assert finder.find(text + '"}' + END) == len(text) + 2
