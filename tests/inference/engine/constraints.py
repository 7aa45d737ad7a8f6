"""A constraint for tests, which allows the same tokens at every position."""

from array import array
from collections.abc import Collection

from sizeup_inference.engine.protocol import ConstraintError


class Only:
    """Its own state; accepts tokens until there are `limit` of them, and fails then."""

    def __init__(self, allowed: Collection[int], vocabulary: int, limit: int = 1000) -> None:
        self._words = array("I", bytes(-(-vocabulary // 32) * 4))
        for token_id in allowed:
            self._words[token_id // 32] |= 1 << token_id % 32
        self._limit = limit
        self.accepted: list[int] = []

    def start(self) -> "Only":
        return self

    def mask(self) -> "array[int]":
        if len(self.accepted) >= self._limit:
            raise ConstraintError("too complex")
        return self._words

    def accept(self, token_id: int) -> None:
        self.accepted.append(token_id)
