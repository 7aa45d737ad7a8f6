"""Latency and throughput over load: knee, capacity, latency breakdown. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import load_curve
from sizeup_loadtest.data.results import (
    LatencyBreakdown,
    MeanAndMax,
    ModelResult,
    Results,
    StageResult,
)
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import chart
from sizeup_loadtest.report.charts.chart import Axis, Mark, Point, Series, Style
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Details,
    Grid,
    Section,
    Table,
    TableRow,
    blank,
    present,
)

_PARTS = ("load", "queue", "prefill", "decode")


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """What one load does to a user, and in total."""

    level: float
    saturated: bool = False
    out_tok_s: float | None = None
    tok_s_user: float | None = None
    ttft_p50: float | None = None
    ttft_p95: float | None = None


def section(results: Results) -> Section | None:
    if not any(model.capacity or model.stages for model in results.models):
        return None
    charts = tuple(drawn for drawn in _charts(results) if drawn is not None)
    return Section(
        "load",
        "How much each size carries",
        "Load",
        "More load to the right. The dashed line is the SLO. A diamond is the maximum load within"
        " it, a ring the knee of throughput, a hollow dot a load under which the queue kept"
        " growing.",
        present(
            Grid(charts),
            _capacity_table(results),
            _breakdowns(results),
            _stages(results),
            _turns(results),
        ),
    )


def _charts(results: Results) -> list[Markup | None]:
    mode = _mode(results.models)
    curves = [_points(model, mode) for model in results.models]
    across = Axis(_unit(mode), formatting.tick, 6)
    point = 95 if _has_p95(curves) else 50
    slo = results.config.get("slo")
    limits = slo if isinstance(slo, Mapping) else {}
    ttft, tpot = (_positive(limits.get(key)) for key in ("ttft_seconds", "tpot_seconds"))
    start = " from schedule" if mode == "open" else ""
    speed = Axis("tokens/s per user, median", formatting.tick, line=1 / tpot if tpot else None)
    first = Axis(f"TTFT p{point}{start}", formatting.seconds_tick, line=ttft)
    panels: tuple[tuple[str, str, Axis], ...] = (
        ("tok_s_user", "", speed),
        (f"ttft_p{point}", "max_load", first),
        ("out_tok_s", "knee", Axis("tokens/s in total", formatting.tick)),
    )
    return [
        chart.draw(
            [_series(i, model, curve, metric, marked, up)
             for i, (model, curve) in enumerate(zip(results.models, curves, strict=True))],
            across, up, Style(f"load-{metric}", up.title, 400, 300),
        )
        for metric, marked, up in panels
    ]  # fmt: skip


def _unit(mode: str) -> str:
    return "requests/s" if mode == "open" else "users"


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _mode(models: Sequence[ModelResult]) -> str:
    """Return the loop of the charts: that of the search, else of the most loads."""
    searched = [model.capacity.mode for model in models if model.capacity]
    curves = [curve for model in models if (curve := load_curve(model))]
    return (searched or [curve[0].mode for curve in curves] or ["closed"])[0]


def _points(model: ModelResult, mode: str) -> list[LoadPoint]:
    """Return every load of a model: of its capacity search, and the stages at other loads."""
    found = {
        stage.level: LoadPoint(
            stage.level,
            out_tok_s=stage.out_tok_s.value if stage.out_tok_s else None,
            tok_s_user=1 / stage.tpot.p50 if stage.tpot and stage.tpot.p50 else None,
            ttft_p50=stage.ttft_sched.p50 if stage.ttft_sched else None,
            ttft_p95=stage.ttft_sched.p95 if stage.ttft_sched else None,
        )
        for stage in load_curve(model, mode)
    }
    if model.capacity and model.capacity.mode == mode:
        found |= {
            p.level: LoadPoint(
                p.level,
                p.saturated,
                p.out_tok_s,
                1 / p.tpot_p50 if p.tpot_p50 else None,
                p.ttft_p50,
                p.ttft_p95,
            )
            for p in model.capacity.points
        }
    return [found[level] for level in sorted(found)]


def _has_p95(curves: Sequence[Sequence[LoadPoint]]) -> bool:
    """Whether every curve of the median has one of p95 too, which needs more requests."""
    return all(
        sum(p.ttft_p95 is not None for p in curve) >= 2
        for curve in curves
        if sum(p.ttft_p50 is not None for p in curve) >= 2
    )


def _series(
    i: int, model: ModelResult, curve: Sequence[LoadPoint], metric: str, marked: str, axis: Axis
) -> Series:
    """Return one line; empty below two points."""
    shown = [(p, value) for p in curve if (value := getattr(p, metric))]
    level = getattr(model.capacity, marked, None) if marked else None
    near = min((p.level for p, _ in shown), key=lambda at: abs(at - (level or 0)), default=None)
    points = []
    for point, value in shown:
        mark: Mark = "hollow" if point.saturated else "dot"
        note = ", the queue kept growing" if point.saturated else ""
        if level is not None and point.level == near:
            mark = "ring" if marked == "knee" else "diamond"
            note += f", {marked.replace('_', ' ')} {formatting.number(level)}"
        load = formatting.load(_mode([model]), point.level)
        tip = f"{model.name}, {load}: {axis.title} {axis.write(float(f'{value:.3g}'))}{note}"
        points.append(Point(point.level, value, tip, mark))
    return Series(model.name, f"s{i}", tuple(points) if len(points) > 1 else ())


def _capacity_table(results: Results) -> Table | None:
    if not any(model.capacity for model in results.models):
        return None
    unit = _unit(_mode(results.models))
    heads = (
        "Model", "Max load|within SLO", "SLO attainment|at that load", f"Knee|{unit}",
        "Effective parallelism", f"Loads tried|{unit}",
    )  # fmt: skip
    found = tuple(_capacity_row(i, model) for i, model in enumerate(results.models))
    return Table(heads, found, "Capacity", "capacity")


def _capacity_row(i: int, model: ModelResult) -> TableRow:
    capacity = model.capacity
    if capacity is None:
        return TableRow(model.name, (blank(cells.NO_CAPACITY),) * 5, class_=f"s{i}")
    missed = "no load met the SLO"
    largest = Cell(text.max_load(capacity), text.max_load_note(capacity))
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


Column = tuple[str, Callable[[StageResult], Cell]]


def _stages(results: Results) -> Details | None:
    """Return every model under every load, with the metrics that its server has."""
    stages = [stage for model in results.models for stage in model.stages]
    columns: list[Column] = [*_COLUMNS]
    if any(stage.answer_ttft for stage in stages):
        columns.append(("First answer token|p50", lambda s: cells.percentile(50, s.answer_ttft)))
    columns += [
        (head, _gauge(name, write))
        for head, name, write in _GAUGES
        if any(s.server_metrics and getattr(s.server_metrics, name) for s in stages)
    ]
    found = tuple(
        TableRow(
            model.name,
            tuple(cell(stage) for _, cell in columns),
            class_=f"s{i}",
            detail=text.stage_name(stage),
        )
        for i, model in enumerate(results.models)
        for stage in model.stages
    )
    heads = ("Model|load", *(head for head, _ in columns))
    table = Table(heads, found, "Every model under every load")
    return Details(table) if found else None


def _turns(results: Results) -> Details | None:
    """Return the turns of conversations, whose prompts grow by every answer."""
    heads = (
        "Model|load, turn", "Requests", "Failed", "Prompt|tokens", "Cached|tokens",
        "TTFT|p50", "TTFT|p95",
    )  # fmt: skip
    not_counted = "the server does not count them"
    found = tuple(
        TableRow(
            model.name,
            (
                Cell(str(turn.n)),
                Cell(str(turn.failed)),
                cells.estimate(turn.prompt_tokens, formatting.number, not_counted),
                cells.estimate(turn.cached_tokens, formatting.number, not_counted),
                cells.percentile(50, turn.ttft),
                cells.percentile(95, turn.ttft),
            ),
            class_=f"s{i}",
            detail=f"{text.stage_name(stage)}, turn {turn.turn}",
        )
        for i, model in enumerate(results.models)
        for stage in model.stages
        for turn in stage.turns
    )
    return Details(Table(heads, found, "Conversations, by turn")) if found else None


def _failures(stage: StageResult) -> Cell:
    failed = sum(stage.errors.values())
    return Cell(str(failed), text.frequent_errors([stage]) or None)


def _valid(stage: StageResult) -> Cell:
    return Cell("✓") if stage.invalid_reason is None else Cell("✗", stage.invalid_reason)


def _longest_gap(stage: StageResult) -> float | None:
    return stage.itl.high if stage.itl else None


_NO_ITL = "no answer had two chunks"
_COLUMNS: tuple[Column, ...] = (
    ("Valid", _valid),
    ("Requests", lambda s: Cell(str(s.n))),
    ("Errors", _failures),
    ("Tokens/s|total", lambda s: cells.estimate(s.out_tok_s, formatting.number)),
    ("Tokens/s|per user", lambda s: cells.estimate(s.tok_s_user, formatting.number)),
    ("TTFT|p50", lambda s: cells.percentile(50, s.ttft)),
    ("TTFT|p95", lambda s: cells.percentile(95, s.ttft)),
    ("TTFT|p99", lambda s: cells.percentile(99, s.ttft)),
    ("TPOT|p50", lambda s: cells.percentile(50, s.tpot)),
    ("ITL|p99", lambda s: cells.percentile(99, s.itl)),
    ("ITL|maximum", lambda s: cells.plain(_longest_gap(s), formatting.seconds, _NO_ITL)),
    ("Tokens|counted by", lambda s: Cell(s.counted_by, reason="no tokens were counted")),
    ("E2E|p50", lambda s: cells.percentile(50, s.e2e)),
    ("E2E|p95", lambda s: cells.percentile(95, s.e2e)),
    ("E2E from schedule|p50", lambda s: cells.percentile(50, s.e2e_sched)),
    ("SLO attainment", cells.attainment),
    ("Retries|after 429, 503", lambda s: Cell(str(s.retries))),
    ("Goodput|requests/s", lambda s: cells.estimate(s.goodput, formatting.number, cells.NO_SLO)),
)  # fmt: skip
_GAUGES = (
    ("Queue|of the server, mean", "queue", formatting.number),
    ("KV cache|in use, mean", "kv_usage", formatting.percent),
    ("Running|requests, mean", "running", formatting.number),
)


def _gauge(name: str, write: text.Format) -> Callable[[StageResult], Cell]:
    def cell(stage: StageResult) -> Cell:
        metrics = stage.server_metrics
        seen: MeanAndMax | None = getattr(metrics, name) if metrics else None
        if seen is None:
            return blank("the server has no such metric")
        return Cell(write(seen.mean), f"at most {write(seen.max)}")

    return cell


def _breakdowns(results: Results) -> Table | None:
    """Latency by phase, from the server's own durations, which only Ollama's API reports."""
    found = tuple(
        TableRow(model.name, _phases(split), class_=f"s{i}")
        for i, model in enumerate(results.models)
        if (split := _breakdown(model)) is not None
    )
    heads = ("Model", "load", "queue|and network", "prefill", "decode")
    return Table(heads, found, "Mean latency by phase, by the server") if found else None


def _breakdown(model: ModelResult) -> LatencyBreakdown | None:
    """Return the phases of a model at its lightest load that has them."""
    split = [stage for stage in model.stages if stage.breakdown is not None]
    stage = min(split, key=lambda s: (s.mode != "closed", s.level), default=None)
    return stage.breakdown if stage else None


def _phases(split: LatencyBreakdown) -> tuple[Cell, ...]:
    means = [getattr(split, part).mean.value for part in _PARTS]
    total = sum(means) or 1.0
    return tuple(Cell(formatting.seconds(mean), bar=mean / total) for mean in means)
