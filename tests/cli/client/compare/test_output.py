import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from cli.client.compare.script import (
    DEAD,
    HOSTILE,
    HOSTILE_SHOWN,
    Line,
    answered,
    finish,
    header,
    last,
    text,
)
from sizeup.client.compare.output import LiveOutput, Output, PlainOutput
from sizeup.client.compare.state import Comparison, apply


def feed(output: Output, lines: Sequence[Line]) -> Comparison:
    comparison = Comparison()
    for at, line in enumerate(lines):
        comparison = apply(comparison, line, float(at))
        output.show(comparison, float(at))
    return comparison


def plain(lines: Sequence[Line]) -> list[str]:
    file = io.StringIO()
    output = PlainOutput(file)
    output.finish(feed(output, lines))
    return file.getvalue().splitlines()


def live(lines: Sequence[Line], width: int) -> str:
    """Return what is printed when the alternate screen is left."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=24, force_terminal=True, no_color=True)
    output = LiveOutput(console, "What is 12 + 30?")
    comparison = feed(output, lines)
    file.seek(0)
    file.truncate()
    output.finish(comparison)
    return file.getvalue()


def test_plain_answers_are_printed_as_they_end() -> None:
    file = io.StringIO()
    output = PlainOutput(file)
    feed(output, [header("a", "b"), text("a", "4"), finish("b", "one\n\ntwo"), finish("a", "42")])
    assert file.getvalue() == "b: one\nb:\nb: two\na: 42\n"


def test_the_plain_table_follows_the_answers() -> None:
    lines = plain(answered())
    assert lines[:4] == [f"toy:{size}: It is 42." for size in ("0.5m", "2m", "5m")] + [""]
    assert lines[4].split() == ["size", "TTFT", "tokens/s", "tokens", "total", "at", "once"]
    assert lines[8].startswith("toy:0.5m is the smallest")


def test_text_before_a_failure_is_printed() -> None:
    lines = plain(DEAD)
    assert lines[:2] == ["toy:2m: Let me", "toy:0.5m: 42"]


def test_an_interrupted_compare_prints_what_has_arrived() -> None:
    lines = plain([header("a", "b"), text("a", "4"), finish("b", "42")])
    assert lines[:3] == ["b: 42", "a: 4", ""]


def test_nothing_is_printed_without_a_stream() -> None:
    assert plain([]) == []


def test_plain_output_has_no_controls() -> None:
    lines = plain([header("a"), finish("a", HOSTILE), last()])
    assert lines[0] == f"a: {HOSTILE_SHOWN}"
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_gets_every_answer_in_full_at_the_end(width: int) -> None:
    long = "\n".join(f"line {number}" for number in range(100)) + "\n\tindented " + "x" * 300
    shown = live([header("a", "b"), finish("a", long), finish("b", "42"), last("b", "b")], width)
    assert long in shown
    assert "no smaller size said the same as b" in shown


@pytest.mark.parametrize(("width", "has_frame"), [(40, False), (80, True)])
def test_the_table_of_a_narrow_terminal_is_a_list(width: int, has_frame: bool) -> None:
    shown = live(answered(), width)
    assert ("┃" in shown) == has_frame
    assert "41.2" in shown


def test_failures_are_told_at_the_end() -> None:
    shown = live(DEAD, 80)
    assert "toy:2m (failed)" in shown.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "the replica exited" in shown


def test_hostile_text_is_printed_as_text() -> None:
    shown = live([header("a"), finish("a", HOSTILE), last()], 80)
    assert HOSTILE_SHOWN in shown
    assert not {"\x07", "\x9b", "\u202e"} & set(shown)
    assert "\x1b[2J" not in shown
