"""The end of a compare: figures of every answer, agreement and failures, without styles."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from sizeup.client.compare import words
from sizeup.client.compare.state import Answer, Comparison
from sizeup.client.terminal_text import one_line, printable

Row = tuple[str, ...]

_HEADINGS = ("size", "TTFT", "tokens/s", "tokens", "total", "cost", "at once", "ended")
_OPTIONAL = ("cost", "ended")
"""Omitted where they say nothing: no price is known, every answer is complete."""
_GAP = "  "


def table(comparison: Comparison) -> list[Row]:
    """Return the headings and a row per answer; unknown figures are empty."""
    rows = [_row(answer, comparison) for answer in comparison.answers.values()]
    kept = [
        index
        for index, heading in enumerate(_HEADINGS)
        if heading not in _OPTIONAL or any(row[index] for row in rows)
    ]
    return [tuple(row[index] for index in kept) for row in (_HEADINGS, *rows)]


def _row(answer: Answer, comparison: Comparison) -> Row:
    figures = answer.figures
    speed = words.tokens_per_second(answer)
    ended = words.outcome(answer) or "incomplete"
    return (
        words.label(answer, comparison),
        words.seconds(words.ttft_seconds(answer)),
        "" if speed is None else f"{speed:.1f}",
        str(words.tokens(answer)),
        words.seconds(words.total_seconds(answer)),
        words.cost(figures.cost if figures else None),
        str(figures.at_once) if figures and figures.at_once else "",
        "" if ended == "done" else ended,
    )


def aligned(rows: Sequence[Row]) -> list[str]:
    """Return lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return [_line(row, widths) for row in rows]


def _line(row: Row, widths: Sequence[int]) -> str:
    spaces = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
    first, *others = zip(row, spaces, strict=True)
    return _GAP.join(["".join(first), *(space + cell for cell, space in others)]).rstrip()


def listed(rows: Sequence[Row]) -> list[str]:
    """Return a line per answer with the heading before each figure, for narrow terminals."""
    headings, *answers = rows
    return [_named(headings, row) for row in answers]


def _named(headings: Row, row: Row) -> str:
    named = [f"{heading} {cell}" for heading, cell in zip(headings, row, strict=True) if cell]
    return f"{row[0]}: " + ", ".join(named[1:])


def agreement(comparison: Comparison) -> str | None:
    """Return which is the smallest size that said the same as the largest, if that is known."""
    found = comparison.agreement
    if found is None:
        return None
    largest, smallest = one_line(found.largest), one_line(found.smallest)
    if largest == smallest:
        return f"no smaller size said the same as {largest}, the largest that answered"
    return f"{smallest} is the smallest size that said the same as {largest}, the largest"


def notes(comparison: Comparison) -> Iterator[str]:
    if said := agreement(comparison):
        yield said
    if comparison.seed is not None:
        yield f"seed {comparison.seed}"


def answer_lines(answer: Answer) -> list[str]:
    return printable(answer.text.rstrip()).split("\n")


def failures(comparison: Comparison) -> list[str]:
    """Return a line per answer that failed, or that is missing in a complete compare."""
    return [
        f"{words.label(answer, comparison)}: {words.fault(answer)}"
        for answer in comparison.answers.values()
        if not answer.answered and (comparison.complete or answer.ended is not None)
    ]
