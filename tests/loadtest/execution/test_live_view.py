import io

from rich.console import Console

from loadtest.recording import failed, record
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome
from sizeup_loadtest.execution.live_view import LiveView, sparkline
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

STAGE = Stage("closed-2-fixed", "closed", 2, "fixed")


def feed(view: LiveView) -> None:
    for name in ("m", "n"):
        view.began(Segment(STAGE, 0, name, ()))
        made = record(model=name)
        for _ in range(3):
            view.sent(Request("s", made.planned, Prompt("p", ()), 0))
        view.ended(made)
        view.ended(failed(made, Outcome.BUSY))


def shown(terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=140, color_system=None)
    with LiveView(console, ["m", "n"], 6, Slo()) as view:
        feed(view)
    return stream.getvalue()


def test_without_a_terminal_a_segment_is_a_line() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines == [
        f"block 1  closed-2-fixed  {name}  done 2  errors 1  TTFT p50 100 ms  "
        "tokens/s/user 100.0  within SLO 50%"
        for name in ("m", "n")
    ]


def test_on_a_terminal_a_model_is_a_row() -> None:
    text = shown(terminal=True)
    assert "4 of 6" in text
    row = next(line for line in reversed(text.splitlines()) if " n " in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells == ["n", "closed-2-fixed", "1", "2", "1", "100 ms", "100.0", "█", "50%"]


def test_sparkline() -> None:
    assert sparkline([0, 3.5, 7]) == "▁▅█"
    assert sparkline([]) == ""
    assert sparkline([0.0]) == ""
