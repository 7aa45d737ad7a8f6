"""Values written as they arrive are the JSON that they would be at last."""

import json

import pytest

from sizeup_gateway.responses.json_bytes import (
    Written,
    WrittenArray,
    WrittenText,
    encode,
    joined_array,
    joined_text,
    packed,
    pieces_of,
)

TEXT = 'a "quoted" \\ line\n, \x00, 中文 and 🙂'


def text_of(*parts: str) -> WrittenText:
    text = WrittenText()
    for part in parts:
        text.add(part)
    return text


def array_of(*items: object) -> WrittenArray[object]:
    array: WrittenArray[object] = WrittenArray()
    array.extend(items)
    return array


def written(value: object) -> bytes:
    return b"".join(pieces_of(value))


def test_a_text_in_parts_is_one_string() -> None:
    assert json.loads(written(joined_text(text_of(*TEXT), text_of(TEXT)))) == TEXT * 2
    assert written(joined_text(WrittenText())) == b'""'


def test_arrays_that_follow_one_another_are_one() -> None:
    parts = (array_of(), array_of(1, None), array_of(), array_of({"a": [2.5]}))
    assert json.loads(written(joined_array(*parts))) == [1, None, {"a": [2.5]}]
    assert written(joined_array()) == b"[]"


def test_an_entry_is_said_in_the_words_of_a_dialect() -> None:
    array = WrittenArray[int](lambda number: {"number": number})
    array.extend((1, 2))
    assert json.loads(written(joined_array(array))) == [{"number": 1}, {"number": 2}]


def test_the_bytes_a_part_takes_are_those_it_adds() -> None:
    text, array = WrittenText(), array_of(1)
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
def test_a_value_with_nothing_written_is_encoded_as_ever(value: object) -> None:
    assert written(value) == encode(value)


def test_written_values_may_stand_anywhere() -> None:
    text, array = joined_text(text_of(TEXT)), joined_array(array_of(1, 2))
    value = {"choices": [{"text": text, "lists": {"a": array}}, {"text": text}], "all": [array]}
    assert json.loads(written(value)) == {
        "choices": [{"text": TEXT, "lists": {"a": [1, 2]}}, {"text": TEXT}],
        "all": [[1, 2]],
    }


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (3, 4), (4, 4), (100,), (1, 1, 9, 2, 30, 0, 7)])
def test_pieces_are_packed_whatever_their_size(sizes: tuple[int, ...]) -> None:
    pieces = [bytes([i]) * size for i, size in enumerate(sizes)]
    made = list(packed(pieces, 4))
    assert b"".join(made) == b"".join(pieces)
    assert all(4 <= len(piece) < 8 for piece in made[:-1])
    assert all(len(piece) < 8 for piece in made[-1:])


def test_shared_pieces_are_not_copied() -> None:
    text = text_of(TEXT)
    (_, first, _), (_, second, _) = joined_text(text).pieces, joined_text(text).pieces
    assert first is second is text.data
    assert isinstance(joined_text(text), Written)
