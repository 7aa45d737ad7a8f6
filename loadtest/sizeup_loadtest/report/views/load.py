"""Latency and throughput over load: knee, capacity, latency breakdown. Pure."""

from collections.abc import Mapping

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import load_curve
from sizeup_loadtest.data.results import CapacityResult, ModelResult, Results, StageResult
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import breakdown, curves
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Details,
    Figure,
    Grid,
    Section,
    Table,
    TableRow,
    blank,
    present,
)

_ONE_LOAD = "a curve needs two loads with a median, that is 6 requests each (config: load)"


def section(results: Results) -> Section:
    slo = results.config.get("slo")
    limits = slo if isinstance(slo, Mapping) else {}
    title = f"TTFT p50{_from_schedule(results)}"
    panels = (
        curves.Panel("ttft_sched", title, _number(limits, "ttft_seconds")),
        curves.Panel("tpot", "TPOT p50", _number(limits, "tpot_seconds")),
    )
    figures = tuple(Figure(curves.draw(results.models, panel), _ONE_LOAD) for panel in panels)
    return Section(
        "load",
        "Latency under load",
        "Load",
        "One line per model under increasing load: more total tokens/s to the right, higher latency"
        " per user upwards. The dashed line is the SLO. A ring marks the knee, a diamond the"
        " maximum load within the SLO, a hollow dot a load under which the queue kept growing.",
        present(Grid(figures, "grid wide"), _capacity_table(results), _stages(results)),
    )


def _from_schedule(results: Results) -> str:
    """Name the start of TTFT where it differs from sending, which is in open loop."""
    modes = {m.capacity.mode for m in results.models if m.capacity}
    modes |= {s.mode for m in results.models if m.capacity is None for s in load_curve(m)}
    return " from schedule" if "open" in modes else ""


def _number(section: Mapping[str, object], key: str) -> float | None:
    value = section.get(key)
    return float(value) if isinstance(value, int | float) else None


def _capacity_table(results: Results) -> Table:
    heads = (
        "Model", "Max load|within SLO", "SLO attainment|at that load", "Knee|load",
        "Effective parallelism", "Loads tried",
    )  # fmt: skip
    found = tuple(_capacity_row(i, model) for i, model in enumerate(results.models))
    return Table(heads, found, "Capacity", "capacity")


def _capacity_row(i: int, model: ModelResult) -> TableRow:
    capacity = model.capacity
    if capacity is None:
        return TableRow(model.name, (blank(cells.NO_CAPACITY),) * 5, class_=f"s{i}")
    missed = "no load met the SLO"
    largest = Cell(text.max_load(capacity), _max_load_note(capacity))
    parallelism = (
        "defined for a closed loop only" if capacity.mode == "open" else "undefined without a knee"
    )
    tried = ", ".join(formatting.tick(p.level) for p in capacity.points)
    no_knee = "throughput has no knee over the loads tried"
    return TableRow(
        model.name,
        (
            blank(missed) if capacity.max_load is None else largest,
            cells.proportion(capacity.attainment, missed),
            cells.plain(capacity.knee, formatting.number, no_knee),
            cells.plain(capacity.effective_parallelism, formatting.times, parallelism),
            Cell(tried),
        ),
        class_=f"s{i}",
    )


def _max_load_note(capacity: CapacityResult) -> str:
    unit = "concurrent requests" if capacity.mode == "closed" else "requests/s"
    if not capacity.finished:
        return f"{unit}; the search was interrupted"
    if capacity.client_late:
        return f"{unit}; above it the client was late"
    return f"{unit}; the limit of the search" if capacity.bounded_by_limit else unit


def _stages(results: Results) -> Details | None:
    heads = (
        "Model|stage", "Requests", "Errors", "Tokens/s|total", "Tokens/s|per user",
        "TTFT|p50", "TTFT|p95", "TPOT|p50", "E2E latency|p50",
        "E2E from schedule|p50", "SLO attainment", "Goodput|requests/s",
    )  # fmt: skip
    found = tuple(
        _stage(i, model, stage) for i, model in enumerate(results.models) for stage in model.stages
    )
    return Details(Table(heads, found, "Every model under every load")) if found else None


def _stage(i: int, model: ModelResult, stage: StageResult) -> TableRow:
    errors = ", ".join(f"{count} {kind}" for kind, count in stage.errors.items())
    no_slo = "no SLO was evaluated"
    return TableRow(
        model.name,
        (
            Cell(str(stage.n)),
            Cell(errors or "0"),
            cells.estimate(stage.out_tok_s, formatting.number),
            cells.estimate(stage.tok_s_user, formatting.number),
            cells.percentile(50, stage.ttft),
            cells.percentile(95, stage.ttft),
            cells.percentile(50, stage.tpot),
            cells.percentile(50, stage.e2e),
            cells.percentile(50, stage.e2e_sched),
            cells.proportion(stage.attainment, no_slo),
            cells.estimate(stage.goodput, formatting.number, no_slo),
        ),
        class_=f"s{i}",
        detail=stage.stage,
    )


def breakdown_section(results: Results) -> Section:
    """Latency by phase, from the server's own durations."""
    reason = "no server durations: only Ollama's API reports them (config: target.api)"
    found = tuple(
        TableRow(row.name, tuple(Cell(formatting.seconds(s)) for s in row.seconds))
        for row in breakdown.mean_parts(results.models)
    )
    table = Table(("Model", *breakdown.PARTS), found, "Mean latency by phase") if found else None
    return Section(
        "breakdown",
        "Latency breakdown",
        "Breakdown",
        "From the server's own durations: model load, queueing and network (the remainder of the"
        " latency), prefill, decode.",
        present(Figure(breakdown.draw(results.models), reason), table),
    )
