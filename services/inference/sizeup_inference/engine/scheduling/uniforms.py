"""The random numbers of one sequence. Pure."""

import random
from collections import deque


class Uniforms:
    """Numbers in [0, 1), one for each sampled token; those ahead can be read before their turn."""

    def __init__(self, seed: int | None) -> None:
        """None seeds at random."""
        self._random = random.Random(seed)
        self._ahead: deque[float] = deque()

    def random(self) -> float:
        """Take the next number."""
        return self._ahead.popleft() if self._ahead else self._random.random()

    def peek(self, ahead: int) -> float:
        """Return the number that is taken after `ahead` others, and leave it."""
        while len(self._ahead) <= ahead:
            self._ahead.append(self._random.random())
        return self._ahead[ahead]
