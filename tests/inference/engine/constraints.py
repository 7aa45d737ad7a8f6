"""A constraint for tests, which allows the same tokens at every position."""

import ctypes
from array import array
from collections.abc import Collection

from sizeup_inference.engine.protocol import ConstraintError


class Only:
    """Its own state; accepts tokens until there are `limit` of them, and fails then."""

    def __init__(self, allowed: Collection[int], limit: int = 1000) -> None:
        self._allowed = frozenset(allowed)
        self._limit = limit
        self.accepted: list[int] = []

    def start(self) -> "Only":
        return self

    def write_mask(self, address: int, size: int) -> None:
        if len(self.accepted) >= self._limit:
            raise ConstraintError("too complex")
        words = array("I", bytes(size))
        for token_id in self._allowed:
            words[token_id // 32] |= 1 << token_id % 32
        ctypes.memmove(address, words.tobytes(), size)

    def accept(self, token_id: int) -> None:
        self.accepted.append(token_id)
