"""The vectors of embeddings: kept as float32, and encoded while they are sent.

A batch of 2,048 vectors with 4,096 components takes 32 MiB here, and 110 as JSON.
"""

import base64
import sys
from array import array
from collections.abc import Callable, Iterator

from sizeup_gateway.responses.json_bytes import JsonFragment, JsonStream
from sizeup_wire.embeddings import Embedding

_WHOLE_BYTES = 2**16
"""Smaller ones are encoded at once, so that their response has a Content-Length."""

Encode = Callable[[int, bytes], bytes]
"""Returns the JSON of a vector, by its index and its float32, little-endian."""


class Vectors:
    def __init__(self) -> None:
        self._vectors: list[bytes] = []

    def add(self, event: Embedding) -> int:
        """Keep a vector and return its size in bytes; 0 for one that came from a replica before."""
        if event.index < len(self._vectors):
            return 0
        if event.index > len(self._vectors):
            raise ValueError(f"vector {len(self._vectors)} is missing")
        vector = to_bytes(event)
        self._vectors.append(vector)
        return len(vector)

    def to_json(self, encode: Encode) -> JsonFragment | JsonStream:
        """Return the array of the encoded vectors."""
        pieces = self._pieces(encode)
        is_small = sum(map(len, self._vectors)) < _WHOLE_BYTES
        return JsonFragment(tuple(pieces)) if is_small else JsonStream(pieces)

    def _pieces(self, encode: Encode) -> Iterator[bytes]:
        yield b"["
        for index, vector in enumerate(self._vectors):
            yield (b"," if index else b"") + encode(index, vector)
        yield b"]"


def to_bytes(event: Embedding) -> bytes:
    """Return the float32 of a vector; ValueError for what is not base64."""
    return base64.b64decode(event.vector, validate=True)


def to_numbers(vector: bytes) -> bytes:
    """Encode a vector as an array of numbers; nine significant digits identify a float32."""
    components = array("f", vector)
    if sys.byteorder == "big":
        components.byteswap()
    text = "%.9g," * len(components) % tuple(components)
    return f"[{text[:-1]}]".encode("ascii")


def to_base64(vector: bytes) -> bytes:
    """Encode a vector as a string of base64, as OpenAI does."""
    return b'"' + base64.b64encode(vector) + b'"'
