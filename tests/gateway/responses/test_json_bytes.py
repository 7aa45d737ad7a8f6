"""Incrementally encoded JSON equals JSON that is encoded at once."""

import json

import pytest

from sizeup_gateway.responses.json_bytes import (
    JsonArrayBuilder,
    JsonFragment,
    JsonStringBuilder,
    encode,
    encode_pieces,
    encode_whole,
    join_arrays,
    join_strings,
    rechunk,
)

TEXT = 'a "quoted" \\ line\n, \x00, 中文 and 🙂'


def text_of(*parts: str) -> JsonStringBuilder:
    text = JsonStringBuilder()
    for part in parts:
        text.add(part)
    return text


def array_of(*items: object) -> JsonArrayBuilder[object]:
    array: JsonArrayBuilder[object] = JsonArrayBuilder()
    array.extend(items)
    return array


def written(value: object) -> bytes:
    return b"".join(encode_pieces(value))


def test_appended_text_is_one_string() -> None:
    assert json.loads(written(join_strings(text_of(*TEXT), text_of(TEXT)))) == TEXT * 2
    assert written(join_strings(JsonStringBuilder())) == b'""'


def test_arrays_are_concatenated() -> None:
    parts = (array_of(), array_of(1, None), array_of(), array_of({"a": [2.5]}))
    assert json.loads(written(join_arrays(*parts))) == [1, None, {"a": [2.5]}]
    assert written(join_arrays()) == b"[]"


def test_entries_are_converted() -> None:
    array = JsonArrayBuilder[int](lambda number: {"number": number})
    array.extend((1, 2))
    assert json.loads(written(join_arrays(array))) == [{"number": 1}, {"number": 2}]


def test_the_returned_size_is_the_growth() -> None:
    text, array = JsonStringBuilder(), array_of(1)
    assert text.add(TEXT) == len(text.data)
    before = len(array.data)
    assert array.extend([None, TEXT]) == len(array.data) - before


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": {}, "b": [], "c": [[]], "d": None, "e": [1, 2.5, True]},
        [{"a": 1}, {}, {"b": [{"c": TEXT}]}],
        {"text": TEXT, "list": [{"a": TEXT}, None, 3]},
        TEXT,
    ],
)
def test_values_without_fragments_are_encoded_as_usual(value: object) -> None:
    assert written(value) == encode(value)


def test_fragments_may_be_nested() -> None:
    text, array = join_strings(text_of(TEXT)), join_arrays(array_of(1, 2))
    value = {"choices": [{"text": text, "lists": {"a": array}}, {"text": text}], "all": [array]}
    assert json.loads(written(value)) == {
        "choices": [{"text": TEXT, "lists": {"a": [1, 2]}}, {"text": TEXT}],
        "all": [[1, 2]],
    }


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (3, 4), (4, 4), (100,), (1, 1, 9, 2, 30, 0, 7)])
def test_pieces_of_any_size_are_rechunked(sizes: tuple[int, ...]) -> None:
    pieces = [bytes([i]) * size for i, size in enumerate(sizes)]
    deployment = list(rechunk(pieces, 4))
    assert b"".join(deployment) == b"".join(pieces)
    assert all(4 <= len(piece) < 8 for piece in deployment[:-1])
    assert all(len(piece) < 8 for piece in deployment[-1:])


def test_shared_pieces_are_not_copied() -> None:
    text = text_of(TEXT)
    (_, first, _), (_, second, _) = join_strings(text).pieces, join_strings(text).pieces
    assert first is second is text.data
    assert isinstance(join_strings(text), JsonFragment)


@pytest.mark.parametrize(
    "value", [{"a": [1, {"b": "é"}]}, {"a": [{"b": join_strings(text_of("é"))}]}]
)
def test_a_value_is_encoded_at_once_with_fragments_or_without(value: object) -> None:
    assert encode_whole(value) == written(value)
