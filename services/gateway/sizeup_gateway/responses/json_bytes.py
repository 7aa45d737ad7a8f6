"""JSON that is bytes from the moment it arrives: a reply in one piece holds what it sends, no more.

As objects, a token with its log-probabilities takes some 600 bytes, and as much again when they
are turned into JSON, all at once, while every other answer waits.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Write JSON as UTF-8 without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Written:
    """A JSON value in pieces, which other values may share."""

    pieces: tuple[bytes | bytearray, ...]


class WrittenText:
    """A string that grows."""

    def __init__(self) -> None:
        """Begin empty."""
        self.data = bytearray()
        """Between the quotation marks."""

    def add(self, text: str) -> int:
        """Append a text and return the bytes it takes."""
        added = encode(text)[1:-1]
        self.data += added
        return len(added)


class WrittenArray(Generic[T]):
    """An array that grows."""

    def __init__(self, entry: Callable[[T], object] = lambda item: item) -> None:
        """Begin empty; `entry` says an item as JSON has it."""
        self.data = bytearray()
        """Between the brackets."""
        self._entry = entry

    def extend(self, items: Iterable[T]) -> int:
        """Append items and return the bytes they take."""
        before = len(self.data)
        for item in items:
            if self.data:
                self.data += b","
            self.data += encode(self._entry(item))
        return len(self.data) - before


def joined_text(*parts: WrittenText) -> Written:
    """Return one string of several."""
    return Written((b'"', *(part.data for part in parts), b'"'))


def joined_array(*parts: WrittenArray[Any]) -> Written:
    """Return one array of several."""
    pieces: list[bytes | bytearray] = []
    for data in (part.data for part in parts if part.data):
        pieces += (b",", data) if pieces else (data,)
    return Written((b"[", *pieces, b"]"))


def pieces_of(value: object) -> Iterator[bytes | bytearray]:
    """Yield the bytes of a JSON value that has written ones in it, these as they are."""
    match value:
        case Written():
            yield from value.pieces
        case dict():
            yield from _object(value)
        case [dict() | Written(), *_]:
            for i, item in enumerate(value):
                yield b"," if i else b"["
                yield from pieces_of(item)
            yield b"]"
        case _:
            yield encode(value)


def _object(value: dict[str, object]) -> Iterator[bytes | bytearray]:
    before = b"{"
    for key, item in value.items():
        yield before + encode(key) + b":"
        yield from pieces_of(item)
        before = b","
    yield b"}" if value else b"{}"


def packed(pieces: Iterable[bytes | bytearray], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `size` to twice that; the last may have less."""
    held = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), size):
            held += memoryview(piece)[start : start + size]
            if len(held) >= size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)
