"""Vectors as JSON: exact, and encoded piece by piece."""

import base64
import json
import random
import struct
from array import array

import pytest

from sizeup_gateway.responses.json_bytes import JsonFragment, JsonStream, encode_pieces
from sizeup_gateway.responses.vectors import Vectors, to_base64, to_numbers
from sizeup_wire.embeddings import Embedding


def embedding(index: int, content: bytes) -> Embedding:
    return Embedding(index=index, vector=base64.b64encode(content).decode(), prompt_tokens=1)


def test_numbers_are_exact() -> None:
    chance = random.Random(1)
    drawn = [struct.unpack("<f", chance.randbytes(4))[0] for _ in range(5000)]
    values = array("f", [x for x in drawn if abs(x) < 1e38])
    values.extend([0.0, -0.0, 1.0, 1e-45, 3.4028234663852886e38, 1 / 3])
    content = struct.pack(f"<{len(values)}f", *values)
    assert array("f", json.loads(to_numbers(content))) == values
    assert base64.b64decode(json.loads(to_base64(content))) == content


def test_no_vector_and_an_empty_one_are_arrays() -> None:
    vectors = Vectors()
    assert b"".join(encode_pieces(vectors.to_json(lambda _i, v: to_numbers(v)))) == b"[]"
    vectors.add(embedding(0, b""))
    assert b"".join(encode_pieces(vectors.to_json(lambda _i, v: to_numbers(v)))) == b"[[]]"


@pytest.mark.parametrize(("count", "kind"), [(3, JsonFragment), (100, JsonStream)])
def test_many_vectors_are_encoded_while_they_are_sent(count: int, kind: type) -> None:
    vectors = Vectors()
    for i in range(count):
        assert vectors.add(embedding(i, struct.pack("<f", i) * 1024)) == 4096
    encoded: list[int] = []

    def encode(index: int, vector: bytes) -> bytes:
        encoded.append(index)
        return to_numbers(vector)

    found = vectors.to_json(encode)
    assert isinstance(found, kind)
    assert len(encoded) == (count if kind is JsonFragment else 0)
    pieces = list(encode_pieces({"data": found}))
    assert max(map(len, pieces)) < 20_000
    assert json.loads(b"".join(pieces)) == {"data": [[i] * 1024 for i in range(count)]}


def test_a_vector_that_comes_again_counts_once() -> None:
    vectors = Vectors()
    first = struct.pack("<f", 1.0)
    assert [vectors.add(embedding(i, first)) for i in (0, 1, 0, 1, 2)] == [4, 4, 0, 0, 4]
    assert b"".join(encode_pieces(vectors.to_json(lambda _i, v: to_numbers(v)))) == b"[[1],[1],[1]]"


def test_a_missing_vector_is_an_error() -> None:
    with pytest.raises(ValueError, match="vector 0 is missing"):
        Vectors().add(embedding(1, b""))


def test_what_is_not_base64_is_an_error() -> None:
    with pytest.raises(ValueError, match="base64"):
        Vectors().add(Embedding(index=0, vector="a*b=", prompt_tokens=1))
