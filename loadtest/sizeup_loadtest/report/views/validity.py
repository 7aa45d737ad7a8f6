"""Whether the results are valid, and why not. Pure."""

from collections.abc import Iterator, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Lag, Results
from sizeup_loadtest.report import text
from sizeup_loadtest.report.text import Format
from sizeup_loadtest.report.views.blocks import (
    Bullets,
    Cell,
    Section,
    Table,
    TableRow,
    blank,
)

Banner = tuple[str, Sequence[str]]
"""A title at the top of the page, and the reasons for it."""


def banners(results: Results) -> Iterator[Banner]:
    """Yield the warnings of a stopped run, and of an invalid run or model."""
    if not results.validity.complete:
        yield text.stopped(results.validity), ()
    if not results.validity.valid:
        yield "This run is invalid: do not use its results.", results.validity.reasons
    elif reasons := [f"{m.name}: {m.invalid_reason}" for m in results.models if m.invalid_reason]:
        yield "Do not use the results of these models; the others are valid.", reasons


def section(results: Results) -> Section:
    validity = results.validity
    stage = f", {formatting.stage_key(validity.worst_stage)}" if validity.worst_stage else ""
    allowed = results.config_section("limits")
    send, loop = (allowed.get(f"max_{name}_lag_seconds") for name in ("send", "loop"))
    share, no_spread = formatting.percent(validity.error_share), "a fraction has no distribution"
    most_errors = _limit("≤", allowed.get("max_error_share"), formatting.percent)
    worst, loop_lag = validity.worst_stage_lag, "Event loop lag"
    checks = (
        _lag("Send lag", validity.send_lag, send, "only an open loop has a schedule"),
        _lag(loop_lag, validity.loop_lag, loop, "not measured"),
        _lag(f"{loop_lag} of the worst stage{stage}", worst, loop,
             "no stage has enough samples for a p99"),
        TableRow("Failed requests, of all", (Cell(share), *(blank(no_spread),) * 2, most_errors)),
    )  # fmt: skip
    invalid = tuple(
        f"{model.name}, {text.stage_name(stage)}: {stage.invalid_reason}"
        for model in results.models
        for stage in model.stages
        if stage.invalid_reason is not None
    )
    word = "valid" if validity.valid else "invalid"
    return Section(
        "validity",
        "Validity",
        f"This run is {word}. A client that is late or overloaded measures itself, not the server.",
        (
            Bullets("Why it is invalid", validity.reasons) if validity.reasons else None,
            Table(("Check", "Median", "p99", "Maximum", "Limit"), checks, "Checks"),
            Bullets("Invalid stages", invalid) if invalid else None,
            Bullets("Warnings", validity.warnings) if validity.warnings else None,
        ),
    )


def _lag(name: str, lag: Lag | None, limit: object, reason: str) -> TableRow:
    end = _limit("p99 ≤", limit, formatting.seconds)
    if lag is None:
        return TableRow(name, (*(blank(reason),) * 3, end))
    values = tuple(Cell(formatting.seconds(value)) for value in (lag.p50, lag.p99, lag.high))
    return TableRow(name, (*values, end), detail=f"n = {lag.n}")


def _limit(sign: str, limit: object, write: Format) -> Cell:
    if isinstance(limit, int | float):
        return Cell(f"{sign} {write(limit)}")
    return blank("no limit in the config")
