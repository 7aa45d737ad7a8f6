"""JSON that is encoded as it arrives: a whole response takes no more memory than it has bytes.

As Python objects, a token with its log-probabilities takes some 600 bytes, and encoding all of them
at the end would block the event loop.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Encode compact JSON as UTF-8."""
    try:
        return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except TypeError:  # integers of more than 64 bits, which tool calls may have
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class JsonFragment:
    """An encoded JSON value in pieces, which several values may share."""

    pieces: tuple[bytes | bytearray, ...]


@dataclass(frozen=True, slots=True)
class JsonStream:
    """A JSON value that is encoded while it is sent, in pieces of at most some 100 KB."""

    pieces: Iterator[bytes]


class JsonStringBuilder:
    """A JSON string that grows."""

    def __init__(self) -> None:
        self.data = bytearray()
        """Content without the quotation marks."""

    def add(self, text: str) -> int:
        """Append text and return its encoded size."""
        added = encode(text)[1:-1]
        self.data += added
        return len(added)


class JsonArrayBuilder(Generic[T]):
    """A JSON array that grows."""

    def __init__(self, to_json: Callable[[T], object] = lambda item: item) -> None:
        self.data = bytearray()
        """Content without the brackets."""
        self._to_json = to_json

    def extend(self, items: Iterable[T]) -> int:
        """Append items and return their encoded size."""
        before = len(self.data)
        for item in items:
            if self.data:
                self.data += b","
            self.data += encode(self._to_json(item))
        return len(self.data) - before


def join_strings(*parts: JsonStringBuilder) -> JsonFragment:
    return JsonFragment((b'"', *(part.data for part in parts), b'"'))


def join_arrays(*parts: JsonArrayBuilder[Any]) -> JsonFragment:
    pieces: list[bytes | bytearray] = []
    for data in (part.data for part in parts if part.data):
        pieces += (b",", data) if pieces else (data,)
    return JsonFragment((b"[", *pieces, b"]"))


def encode_pieces(value: object) -> Iterator[bytes | bytearray]:
    """Encode a JSON value that may contain fragments; yield their pieces without a copy."""
    match value:
        case JsonFragment() | JsonStream():
            yield from value.pieces
        case dict():
            yield from _encode_object(value)
        case [dict() | JsonFragment(), *_]:
            for i, item in enumerate(value):
                yield b"," if i else b"["
                yield from encode_pieces(item)
            yield b"]"
        case _:
            yield encode(value)


def encode_whole(value: object) -> bytes:
    """Encode a JSON value that may contain fragments, which few events of a stream do."""
    try:
        return encode(value)  # by the encoder in C
    except TypeError:
        return b"".join(encode_pieces(value))


def _encode_object(value: dict[str, object]) -> Iterator[bytes | bytearray]:
    separator = b"{"
    for key, item in value.items():
        yield separator + encode(key) + b":"
        yield from encode_pieces(item)
        separator = b","
    yield b"}" if value else b"{}"


def rechunk(pieces: Iterable[bytes | bytearray], size: int) -> Iterator[bytes]:
    """Yield the same bytes in chunks of `size` to twice `size`; the last may be smaller."""
    buffer = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), size):
            buffer += memoryview(piece)[start : start + size]
            if len(buffer) >= size:
                yield bytes(buffer)
                buffer.clear()
    if buffer:
        yield bytes(buffer)
