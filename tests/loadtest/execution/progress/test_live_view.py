import io
import re

import pytest
from rich.console import Console

from loadtest.recording import failed, record
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome
from sizeup_loadtest.execution.progress.live_view import LiveView
from sizeup_loadtest.execution.progress.time_left import TimeLeft
from sizeup_loadtest.execution.sending.clock import SECOND_NS
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

STAGE = Stage("closed-2-fixed", "closed", 2, "fixed")
MADE = record(model="m").planned


class Shown:
    """A view on a console of 80 columns, with a clock that stands still until it is set."""

    def __init__(self, terminal: bool, models: tuple[str, ...] = ("m", "n")) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        console = Console(file=self.stream, force_terminal=terminal, width=80, color_system=None)
        expected = {"speed": MADE.max_tokens * 8 / 2 / 30, "ability": 30.0}
        time = TimeLeft(expected, limit=3600)
        self.view = LiveView(console, models, Slo(), time, lambda: round(self.now * SECOND_NS))
        self.models = models

    def block(self, number: int) -> None:
        """Run a segment of two requests of every model, one of which fails, in 10 s each."""
        for name in self.models:
            made = record(model=name)
            self.view.began(Segment(STAGE, number, name, (made.planned, made.planned)))
            for _ in range(3):
                self.view.sent(Request("s", made.planned, Prompt("p", ()), 0))
            self.view.ended(made)
            self.view.ended(failed(made, Outcome.BUSY))
            self.now += 10

    def run(self) -> str:
        with self.view:
            self.view.began_phase("speed")
            self.block(0)
            self.block(1)
            self.view.began_phase("ability")
        return self.stream.getvalue()


def test_without_a_terminal_a_segment_is_a_line_in_words() -> None:
    lines = [line for line in Shown(terminal=False).run().splitlines() if " block " in line]
    assert [line.rpartition("(")[0].strip() for line in lines] == [
        f"speed block {block}  2 users, fixed length  {name}  done 2  errors 1  TTFT p50 100 ms  "
        "tokens/s/user 100.0  within SLO 50%; most frequent: busy (1)"
        for block in (1, 2)
        for name in ("m", "n")
    ]


def test_a_first_table_of_all_models_comes_after_their_first_segments() -> None:
    text = Shown(terminal=False).run()
    first = text.index("First answers")
    assert text.index("speed block 1") < first < text.index("speed block 2")
    assert text.count("First answers") == 1
    table = text[first : text.index("speed block 2")]
    assert [row(table, name)[0] for name in ("m", "n")] == ["m", "n"]


def test_the_first_table_is_of_the_warm_up_where_that_has_output() -> None:
    shown = Shown(terminal=False)
    with shown.view:
        shown.view.began_phase("warm_up")
        shown.block(0)
        shown.view.began_phase("speed")
        first = shown.stream.getvalue()
        shown.block(0)
        shown.block(1)
    assert first.count("First answers") == shown.stream.getvalue().count("First answers") == 1
    assert row(first, "n")[-3:] == ["100 ms", "100.0", "50%"]


def row(table: str, name: str) -> list[str]:
    """Return the cells of the last row of a model."""
    found = [line for line in table.splitlines() if line.startswith(f" {name} ")]
    return re.split(r" {2,}", found[-1].strip())


def test_on_a_terminal_a_model_is_a_row() -> None:
    text = Shown(terminal=True).run()
    assert row(text, "n") == ["n", "2 users,", "2", "4", "2", "100 ms", "100.0", "50%"]


def test_figures_are_never_cut_within_80_columns() -> None:
    name = "Qwen/Qwen2.5-7B-Instruct-with-a-very-long-name"
    lines = Shown(terminal=True, models=(name,)).run().splitlines()
    assert not [line for line in lines if "…" in line]
    assert any("100 ms" in line and line.strip().endswith("50%") for line in lines)


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_time_left_counts_all_phases(blocks: int) -> None:
    shown = Shown(terminal=False)
    shown.view.began_phase("speed")
    for block in range(blocks):
        shown.block(block)
    progress = shown.view.progress()
    assert progress.startswith(f"speed, block {blocks}, {shown.now:.0f} s elapsed, ")
    assert progress.endswith(" left")
    shown.view.began_phase("ability")
    pace = 10 / (MADE.max_tokens * 2 / 2 / 30)  # taken / estimated, of every segment
    assert shown.view.share_done == pytest.approx(shown.now / (shown.now + pace * 30))
