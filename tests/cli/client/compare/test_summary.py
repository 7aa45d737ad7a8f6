from collections.abc import Sequence

from rich.cells import cell_len

from cli.client.compare.script import (
    CANCELLED,
    DEAD,
    HOSTILE,
    HOSTILE_SHOWN,
    Line,
    answered,
    failure,
    finish,
    header,
    last,
    text,
)
from sizeup.client.compare import summary
from sizeup.client.compare.state import Comparison, apply


def state_after(lines: Sequence[Line]) -> Comparison:
    comparison = Comparison()
    for line in lines:
        comparison = apply(comparison, line, 0.0)
    return comparison


def test_a_row_per_size_with_its_figures() -> None:
    headings, *rows = summary.table(state_after(answered()))
    assert headings == ("size", "TTFT", "tokens/s", "tokens", "total", "at once")
    assert rows[0] == ("toy:0.5m", "0.08 s", "41.2", "5", "0.50 s", "3")
    assert len(rows) == 3


def test_the_cost_is_a_column_where_it_is_known() -> None:
    cost = {"amount": 0.0001, "currency": "USD"}
    lines = [header("a", "b"), finish("a", "42", cost=cost), finish("b", "42"), last()]
    headings, first, second = summary.table(state_after(lines))
    column = headings.index("cost")
    assert (first[column], second[column]) == ("0.00010 USD", "")


def test_how_an_answer_ended_is_a_column_unless_all_are_complete() -> None:
    rows = summary.table(state_after(DEAD))
    assert [row[-1] for row in rows] == ["ended", "token limit", "failed", "failed"]
    rows = summary.table(state_after([header("a", "b"), finish("a", "42"), text("b", "4")]))
    assert [row[-1] for row in rows] == ["ended", "", "incomplete"]


def test_a_row_per_sample() -> None:
    lines = [header("a", samples=2), finish("a", "1", 0), finish("a", "2", 1), last()]
    assert [row[0] for row in summary.table(state_after(lines))] == ["size", "a #1", "a #2"]


def test_columns_are_aligned_in_cells() -> None:
    lines = summary.aligned([("size", "TTFT"), ("你好", "0.08 s"), ("toy:0.5m", "")])
    assert lines == ["size        TTFT", "你好      0.08 s", "toy:0.5m"]
    assert cell_len(lines[0]) == cell_len(lines[1])


def test_a_narrow_terminal_gets_a_line_per_answer() -> None:
    rows = [("size", "TTFT", "cost"), ("a", "0.08 s", ""), ("b", "0.09 s", "1.00 USD")]
    assert summary.listed(rows) == ["a: TTFT 0.08 s", "b: TTFT 0.09 s, cost 1.00 USD"]


def test_the_smallest_size_that_said_the_same() -> None:
    said = summary.agreement(state_after(answered()))
    assert said is not None
    assert said.startswith("toy:0.5m is the smallest")
    alone = summary.agreement(state_after(CANCELLED))
    assert alone is not None
    assert alone.startswith("no smaller size")
    assert summary.agreement(state_after(DEAD)) is None


def test_the_seed_is_told() -> None:
    assert list(summary.notes(state_after(DEAD))) == ["seed 123"]


def test_failures_are_a_line_each() -> None:
    assert summary.failures(state_after(DEAD)) == [
        "toy:2m: the replica exited",
        "toy:5m: model 'toy:5m' has failed, see its log",
    ]
    assert summary.failures(state_after(CANCELLED)) == ["toy:0.5m: cancelled"]
    assert summary.failures(state_after(answered())) == []


def test_an_answer_without_an_end_is_a_failure_of_a_complete_compare() -> None:
    lines = [header("a", "b"), finish("a", "42")]
    assert summary.failures(state_after(lines)) == []
    assert len(summary.failures(state_after([*lines, last()]))) == 1


def test_hostile_text_cannot_control_the_terminal() -> None:
    name = f"{HOSTILE}\n"
    lines = [header(name, "b"), failure(name, HOSTILE), finish("b", HOSTILE), last(name, name)]
    comparison = state_after(lines)
    printed = [
        *summary.aligned(summary.table(comparison)),
        *summary.notes(comparison),
        *summary.failures(comparison),
        *summary.answer_lines(comparison.answers["b", 0]),
    ]
    assert printed[-1] == HOSTILE_SHOWN
    assert all(line.isprintable() for line in printed)
