"""A bar per size on one scale of time: what each size did when."""

import math
from collections.abc import Sequence
from enum import IntEnum

from rich.text import Text

from sizeup.client.compare.state import Answer, Comparison

_SHORTEST_SCALE = 1.0
"""Seconds. Below that the bars would only show the delays of the network."""
_STEPS = (1, 2, 5, 10)
"""The scale grows in steps, so that the bars do not shrink with each frame."""


class Phase(IntEnum):
    """What a size does; where several happen within a character, the highest is drawn."""

    NOTHING = 0
    LOADING = 1
    PREFILL = 2
    DECODE = 3


_STYLES = ("", "dim", "yellow", "green")
BLOCKS = " ░▒█"
ASCII_BLOCKS = " .+#"
"""For terminals whose encoding has no blocks."""


def scale_of(comparison: Comparison, at: float) -> float:
    """Return the seconds that a whole bar stands for."""
    answers = comparison.answers.values()
    ends = [_end(answer, at) for answer in answers if answer.begun is not None]
    longest = max([_SHORTEST_SCALE, *ends])
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in _STEPS if step * power >= longest)


def bar(answers: Sequence[Answer], at: float, scale: float, width: int, blocks: str) -> Text:
    """Return the bar of a size, of exactly this width."""
    line = Text(no_wrap=True)
    for column in range(width):
        begin, end = scale * column / width, scale * (column + 1) / width
        phase = max(phase_between(answer, at, begin, end) for answer in answers)
        line.append(blocks[phase], _STYLES[phase])
    return line


def phase_between(answer: Answer, at: float, begin: float, end: float) -> Phase:
    """Return the highest phase of an answer between two times."""
    starts = (answer.begun, answer.sent, answer.first_token)
    if answer.begun is None or answer.begun >= end:
        return Phase.NOTHING
    if _end(answer, at) <= begin and answer.begun < begin:  # one without a duration is drawn
        return Phase.NOTHING
    reached = [phase for phase, start in enumerate(starts, 1) if start is not None and start < end]
    return Phase(max(reached))


def _end(answer: Answer, at: float) -> float:
    return at if answer.ended is None else answer.ended
