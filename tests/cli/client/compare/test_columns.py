import io
from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.client.compare.script import (
    COLD,
    DEAD,
    HOSTILE,
    HOSTILE_SHOWN,
    SIZES,
    Line,
    answered,
    failure,
    finish,
    header,
    status,
    text,
)
from sizeup.client.compare.columns import Screen, layout
from sizeup.client.compare.state import Comparison, apply

WIDTHS = [40, 80, 200]
HEIGHT = 24
PROMPT = "What is 12 + 30?"


def screen(
    lines: Sequence[Line], width: int, height: int = HEIGHT, encoding: str = "utf-8"
) -> list[str]:
    """Return the screen after these lines, a second apart, without styles."""
    comparison = Comparison()
    for at, line in enumerate(lines):
        comparison = apply(comparison, line, float(at))
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    console = Console(file=file, width=width, height=height, force_terminal=False)
    console.print(Screen(comparison, PROMPT, float(len(lines))), soft_wrap=False)
    file.seek(0)
    shown = file.read().splitlines()
    assert [line for line in shown if cell_len(line) > width] == []
    assert len(shown) <= height
    return shown


def names(line: str, models: Sequence[str]) -> list[str]:
    return [model for model in models if f"{model} " in line]


@pytest.mark.parametrize(
    ("sizes", "width", "height", "columns", "rows", "column_width"),
    [
        (3, 40, 22, 1, 3, 40),
        (3, 80, 22, 2, 2, 38),
        (3, 200, 22, 3, 1, 64),
        (12, 200, 22, 6, 2, 30),
        (12, 20, 22, 1, 12, 20),
        (16, 80, 5, 2, 5, 38),
    ],
)
def test_as_many_columns_as_fit(
    sizes: int, width: int, height: int, columns: int, rows: int, column_width: int
) -> None:
    fitted = layout(sizes, width, height)
    assert (fitted.columns, fitted.rows, fitted.width) == (columns, rows, column_width)
    assert fitted.rows * fitted.height + (fitted.rows - 1) * fitted.gap <= height


@pytest.mark.parametrize(("width", "first_row"), [(40, 1), (80, 2), (200, 3)])
def test_every_size_has_a_column_and_others_wrap(width: int, first_row: int) -> None:
    shown = screen(answered(), width)
    assert names(shown[1], SIZES) == list(SIZES[:first_row])
    assert all(any(names(line, [size]) for line in shown) for size in SIZES)
    assert shown[0].startswith(PROMPT)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_column_has_outcome_speed_answer_and_bar(width: int) -> None:
    everything = "\n".join(screen(answered(), width))
    assert everything.count("done ") == 3
    assert everything.count("41.2 tokens/s, TTFT 0.08 s") == 3
    assert everything.count("It is 42.") == 3
    assert "█" in everything


@pytest.mark.parametrize("width", WIDTHS)
def test_cold_sizes_show_their_progress(width: int) -> None:
    everything = "\n".join(screen(COLD[:8], width))
    assert "downloading 75%" in everything
    assert "loading 50%" in everything
    assert "░" in everything


@pytest.mark.parametrize("width", WIDTHS)
def test_failures_are_in_their_column(width: int) -> None:
    everything = "\n".join(screen(DEAD, width))
    assert everything.count("failed ") >= 2
    assert "Let me" in everything
    assert "the replica exited" in everything


def test_a_short_column_has_the_outcome_beside_the_name() -> None:
    shown = screen(DEAD, 40, 6)
    assert [line.split(",")[0].rstrip() for line in shown[1:4]] == [
        "toy:0.5m: token limit",
        "toy:2m: failed",
        "toy:5m: failed",
    ]


def test_a_running_size_shows_the_speed_seen_here() -> None:
    lines = [header("a"), status("a", "queued"), text("a", "4"), text("a", "2")]
    everything = "\n".join(screen(lines, 80))
    assert "1.0 tokens/s, TTFT 2.00 s" in everything
    assert "42" in everything


def test_the_last_lines_of_a_long_answer_are_shown() -> None:
    long = " ".join(f"word{number}" for number in range(5000))
    for lines in ([header("a"), text("a", long)], [header("a", "b"), finish("a", f"{long}\n\n")]):
        shown = "\n".join(screen(lines, 80))
        assert "word4999" in shown
        assert "word0 " not in shown


def test_lines_above_the_last_stay_while_an_answer_grows() -> None:
    lines = [header("a"), text("a", "some words " * 300)]
    before, after = screen(lines, 40), screen([*lines, text("a", "and")], 40)
    assert before[4:-2] == after[4:-2]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", [3, 6, 10, 24])
def test_twelve_sizes_fit_any_height(width: int, height: int) -> None:
    models = [f"qwen:{number}b" for number in range(1, 13)]
    shown = screen(answered(models), width, height)
    if height == 24:
        assert all(any(f"{model}" in line for line in shown) for model in models)
    if height == 3:
        assert "do not fit" in shown[-1]


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_text_is_shown_as_text(width: int) -> None:
    everything = "\n".join(screen([header("a"), text("a", HOSTILE)], width))
    assert HOSTILE_SHOWN.replace(" ", "") in "".join(everything.split())
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(everything)


def test_hostile_names_failures_and_statuses_are_one_line() -> None:
    lines = [header(f"{HOSTILE}\n"), status(f"{HOSTILE}\n", f"{HOSTILE}\nstate")]
    everything = "\n".join(screen(lines, 200))
    assert "\x1b" not in everything
    assert HOSTILE_SHOWN in everything


def test_wide_characters_tabs_and_long_words_keep_the_width() -> None:
    content = "你好世界" * 40 + "\tx\t" + "y" * 500 + "👩‍👩‍👧" * 20
    for width in (*WIDTHS, 41, 29, 12):
        screen([header("模型" * 30, "b"), text("模型" * 30, content), text("b", content)], width)


def test_thinking_is_shown_until_the_answer_begins() -> None:
    lines = [header("a"), text("a", "", thinking="let me count")]
    assert "let me count" in "\n".join(screen(lines, 80))
    everything = "\n".join(screen([*lines, text("a", "42")], 80))
    assert "let me count" not in everything
    assert "42" in everything


def test_samples_share_the_column_of_their_size() -> None:
    lines = [
        header("a", samples=3),
        text("a", "one", 0),
        text("a", "two", 1),
        finish("a", "one", 0),
    ]
    shown = screen(lines, 80)
    everything = "\n".join(shown)
    assert "1 of 3: " in everything
    assert [line.strip() for line in shown if line.startswith("#")][:2] == ["#1 one", "#2 two"]


def test_samples_that_ended_differently_are_counted() -> None:
    lines = [header("a", samples=2), finish("a", "one", 0), failure("a", "it died", sample=1)]
    assert "1 of 2 answered" in screen(lines, 80)[1]


def test_a_terminal_without_unicode_gets_escapes_that_fit() -> None:
    everything = "\n".join(screen([header("a"), text("a", "你好" * 40)], 40, encoding="ascii"))
    assert r"\u4f60\u597d" in everything
    assert everything.isascii()


def test_no_color_leaves_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    comparison = Comparison()
    for line in answered():
        comparison = apply(comparison, line, 1.0)
    file = io.StringIO()
    console = Console(file=file, width=80, height=HEIGHT, force_terminal=True)
    console.print(Screen(comparison, PROMPT, 1.0))
    assert "\x1b[3" not in file.getvalue()
    assert "41.2 tokens/s" in file.getvalue()
