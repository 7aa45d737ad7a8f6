"""Where a compare is shown: live columns on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sizeup.client.compare import summary, words
from sizeup.client.compare.columns import Screen
from sizeup.client.compare.state import Answer, Comparison, Key

_FRAMES_PER_SECOND = 5
"""More are hardly read, and the models may run on the same cores."""
_WIDEST_TABLE = 10_000
"""Columns, at which no figure is cut."""


class PlainOutput:
    """Each answer once it is complete, every line prefixed with its size."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._printed: set[Key] = set()

    def show(self, comparison: Comparison, _at: float) -> None:
        """Print the answers that have ended since the last state."""
        for key, answer in comparison.answers.items():
            if answer.ended is not None and key not in self._printed:
                self._print(key, answer, comparison)

    def finish(self, comparison: Comparison) -> None:
        """Print the other answers and the figures; of an interrupted compare what has arrived."""
        if not comparison.answers:
            return
        for key, answer in comparison.answers.items():
            if key not in self._printed:
                self._print(key, answer, comparison)
        self._write("", *summary.aligned(summary.table(comparison)), *summary.notes(comparison))

    def _print(self, key: Key, answer: Answer, comparison: Comparison) -> None:
        self._printed.add(key)
        if answer.answered or answer.text:
            prefix = words.label(answer, comparison)
            lines = summary.answer_lines(answer)
            self._write(*(f"{prefix}: {line}" if line else f"{prefix}:" for line in lines))

    def _write(self, *lines: str) -> None:
        for line in lines:
            print(line, file=self._file)
        self._file.flush()


class LiveOutput:
    """Columns on the alternate screen, which a resize cannot break; then everything in full."""

    def __init__(self, console: Console, prompt: str) -> None:
        self._console = console
        self._prompt = prompt
        self._shown = (Comparison(), 0.0)
        """A state, and when the compare began by the monotonic clock. The thread that draws reads
        both at once."""
        self._live = Live(
            console=console,
            screen=True,
            refresh_per_second=_FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._frame,
        )

    def show(self, comparison: Comparison, at: float) -> None:
        """Draw a new state, `at` seconds after the request, from now on."""
        self._shown = comparison, time.monotonic() - at
        if not self._live.is_started:  # only now: an error before the stream needs no screen
            self._live.start(refresh=True)

    def _frame(self) -> Screen:
        comparison, begin = self._shown
        return Screen(comparison, self._prompt, time.monotonic() - begin)

    def finish(self, comparison: Comparison) -> None:
        """Leave the alternate screen; print as PlainOutput does."""
        self._live.stop()
        if not comparison.answers:
            return
        for answer in comparison.answers.values():
            self._print_answer(answer, comparison)
        self._print_table(summary.table(comparison))
        for line in summary.notes(comparison):
            self._console.print(Text(line), soft_wrap=True)

    def _print_answer(self, answer: Answer, comparison: Comparison) -> None:
        outcome = words.outcome(answer) or "incomplete"
        heading = Text(words.label(answer, comparison), "bold")
        heading.append("" if outcome == "done" else f" ({outcome})", "yellow")
        self._console.print(heading, soft_wrap=True)
        for line in summary.answer_lines(answer):
            self._console.file.write(f"{line}\n")  # the terminal wraps it: copies are exact
        if answer.fault is not None:
            self._console.print(Text(words.fault(answer), "red"), soft_wrap=True)
        self._console.print()

    def _print_table(self, rows: list[summary.Row]) -> None:
        table = Table()
        for heading in rows[0]:
            table.add_column(heading, justify="right" if table.columns else "left", no_wrap=True)
        for row in rows[1:]:
            table.add_row(*map(Text, row))
        unlimited = self._console.options.update(max_width=_WIDEST_TABLE)
        if self._console.measure(table, options=unlimited).maximum <= self._console.width:
            self._console.print(table)
            return
        for line in summary.listed(rows):
            self._console.print(Text(line))


Output = PlainOutput | LiveOutput


def make_output(prompt: str) -> Output:
    console = Console()
    if sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return LiveOutput(console, prompt)
    return PlainOutput(sys.stdout)
