"""Latency and throughput over load: knee, capacity, latency breakdown. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import load_curve
from sizeup_loadtest.data.results import (
    CapacityResult,
    Estimate,
    LatencyBreakdown,
    MeanAndMax,
    ModelResult,
    Results,
    StageResult,
    TurnResult,
)
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import chart
from sizeup_loadtest.report.charts.chart import Axis, Mark, Point, Series
from sizeup_loadtest.report.views import blocks, cells
from sizeup_loadtest.report.views.blocks import Cell, Columns, Section, Table, blank


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """What one load does to a user, and in total."""

    level: float
    saturated: bool
    out_tok_s: float | None
    tpot_p50: float | None
    ttft_p50: float | None
    ttft_p95: float | None

    @property
    def tok_s_user(self) -> float | None:
        return 1 / self.tpot_p50 if self.tpot_p50 else None


def section(results: Results) -> Section | None:
    if not any(model.capacity or model.stages for model in results.models):
        return None
    return Section(
        "load",
        "How much each size carries",
        "More load to the right. The dashed line is the SLO. A diamond is the maximum load within"
        " it, a ring the knee of throughput, a hollow dot a load under which the queue kept"
        " growing.",
        (
            blocks.Grid(_charts(results)),
            _capacity_table(results),
            _breakdowns(results),
            _stages(results),
            _turns(results),
        ),
        short="Load",
    )


def _charts(results: Results) -> list[Markup | None]:
    mode = _mode(results.models)
    curves = [_points(model, mode) for model in results.models]
    across = Axis(_unit(mode), formatting.tick, 6)
    point, slo = 95 if _has_p95(curves) else 50, results.config_section("slo")
    ttft, tpot = (_positive(slo.get(key)) for key in ("ttft_seconds", "tpot_seconds"))
    start = " from schedule" if mode == "open" else ""
    speed = Axis("tokens/s per user, median", formatting.tick, line=1 / tpot if tpot else None)
    first = Axis(f"TTFT p{point}{start}", formatting.seconds_tick, line=ttft)

    def drawn(metric: str, up: Axis, marked: str = "") -> Markup | None:
        series = [
            _series(i, model, curve, metric, marked, up)
            for i, (model, curve) in enumerate(zip(results.models, curves, strict=True))
        ]
        return chart.draw(f"load-{metric}", up.title, (400, 300), series, across, up)

    return [
        drawn("tok_s_user", speed),
        drawn(f"ttft_p{point}", first, "max_load"),
        drawn("out_tok_s", Axis("tokens/s in total", formatting.tick), "knee"),
    ]


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
    found = {}
    for stage in load_curve(model, mode):
        first, pace, rate = stage.ttft_sched, stage.tpot, stage.out_tok_s
        found[stage.level] = LoadPoint(
            stage.level,
            False,
            rate.value if rate else None,
            pace.p50 if pace else None,
            first.p50 if first else None,
            first.p95 if first else None,
        )
    if model.capacity and model.capacity.mode == mode:
        for point in model.capacity.points:
            found[point.level] = LoadPoint(**point.model_dump(exclude={"attainment"}))
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
    unit, missed = _unit(_mode(results.models)), "no load met the SLO"
    columns: Columns[CapacityResult] = {
        "Max load|within SLO": lambda seen: (
            blank(missed) if seen.max_load is None else cells.max_load(seen)
        ),
        "SLO attainment|at that load": lambda seen: cells.proportion(seen.attainment, missed),
        f"Knee|{unit}": lambda seen: cells.plain(
            seen.knee, formatting.number, "throughput has no knee over the loads tried"
        ),
        "Effective parallelism": lambda seen: cells.plain(
            seen.effective_parallelism,
            formatting.times,
            "defined for a closed loop only" if seen.mode == "open" else "undefined without a knee",
        ),
        f"Loads tried|{unit}": lambda seen: Cell(
            ", ".join(formatting.tick(point.level) for point in seen.points)
        ),
    }
    rows = [(blocks.of_model(i, model), model.capacity) for i, model in enumerate(results.models)]
    return blocks.table("Model", columns, rows, "Capacity", cells.NO_CAPACITY, "capacity")


def _stages(results: Results) -> Table | None:
    """Return every model under every load, with the metrics that its server has."""
    rows = [
        (blocks.of_model(i, model, text.stage_name(stage)), stage)
        for i, model in enumerate(results.models)
        for stage in model.stages
    ]
    columns = dict(_COLUMNS)
    if any(stage.answer_ttft for _, stage in rows):
        columns["First answer token|p50"] = lambda s: cells.percentile(50, s.answer_ttft)
    for head, name, write in _GAUGES:
        gauges = [getattr(stage.server_metrics, name, None) for _, stage in rows]
        if any(gauges):
            columns[head] = _gauge(name, write)
    caption = "Every model under every load"
    return blocks.table("Model|load", columns, rows, caption, is_collapsed=True)


def _turns(results: Results) -> Table | None:
    """Return the turns of conversations, whose prompts grow by every answer."""
    columns: Columns[TurnResult] = {
        "Requests": lambda turn: Cell(str(turn.n)),
        "Failed": lambda turn: Cell(str(turn.failed)),
        "Prompt|tokens": lambda turn: _tokens(turn.prompt_tokens),
        "Cached|tokens": lambda turn: _tokens(turn.cached_tokens),
        "TTFT|p50": lambda turn: cells.percentile(50, turn.ttft),
        "TTFT|p95": lambda turn: cells.percentile(95, turn.ttft),
    }
    rows = [
        (blocks.of_model(i, model, f"{text.stage_name(stage)}, turn {turn.turn}"), turn)
        for i, model in enumerate(results.models)
        for stage in model.stages
        for turn in stage.turns
    ]
    caption = "Conversations, by turn"
    return blocks.table("Model|load, turn", columns, rows, caption, is_collapsed=True)


def _tokens(counted: Estimate | None) -> Cell:
    return cells.estimate(counted, formatting.number, "the server does not count them")


def _longest_gap(stage: StageResult) -> Cell:
    longest = stage.itl.high if stage.itl else None
    return cells.plain(longest, formatting.seconds, "no answer had two chunks")


_COLUMNS: Columns[StageResult] = {
    "Valid": lambda s: Cell("✗", s.invalid_reason) if s.invalid_reason else Cell("✓"),
    "Requests": lambda s: Cell(str(s.n)),
    "Errors": lambda s: Cell(str(text.failures([s])), text.frequent_errors([s]) or None),
    "Tokens/s|total": lambda s: cells.estimate(s.out_tok_s, formatting.number),
    "Tokens/s|per user": lambda s: cells.estimate(s.tok_s_user, formatting.number),
    "TTFT|p50": lambda s: cells.percentile(50, s.ttft),
    "TTFT|p95": lambda s: cells.percentile(95, s.ttft),
    "TTFT|p99": lambda s: cells.percentile(99, s.ttft),
    "TPOT|p50": lambda s: cells.percentile(50, s.tpot),
    "ITL|p99": lambda s: cells.percentile(99, s.itl),
    "ITL|maximum": _longest_gap,
    "Tokens|counted by": lambda s: Cell(s.counted_by, reason="no tokens were counted"),
    "E2E|p50": lambda s: cells.percentile(50, s.e2e),
    "E2E|p95": lambda s: cells.percentile(95, s.e2e),
    "E2E from schedule|p50": lambda s: cells.percentile(50, s.e2e_sched),
    "SLO attainment": cells.attainment,
    "Retries|after 429, 503": lambda s: Cell(str(s.retries)),
    "Goodput|requests/s": lambda s: cells.estimate(s.goodput, formatting.number, cells.NO_SLO),
}
_GAUGES = (
    ("Queue|of the server, mean", "queue", formatting.number),
    ("KV cache|in use, mean", "kv_usage", formatting.percent),
    ("Running|requests, mean", "running", formatting.number),
)


def _gauge(name: str, write: text.Format) -> Callable[[StageResult], Cell]:
    def cell(stage: StageResult) -> Cell:
        seen: MeanAndMax | None = getattr(stage.server_metrics, name, None)
        if seen is None:
            return blank("the server has no such metric")
        return Cell(write(seen.mean), f"at most {write(seen.max)}")

    return cell


def _breakdowns(results: Results) -> Table | None:
    """Latency by phase, from the server's own durations, which only Ollama's API reports."""
    heads = ("load", "queue|and network", "prefill", "decode")
    columns = {head: _phase(head.partition("|")[0]) for head in heads}
    rows = [
        (blocks.of_model(i, model), split)
        for i, model in enumerate(results.models)
        if (split := _breakdown(model)) is not None
    ]
    return blocks.table("Model", columns, rows, "Mean latency by phase, by the server")


def _breakdown(model: ModelResult) -> LatencyBreakdown | None:
    """Return the phases of a model at its lightest load that has them."""
    split = [stage for stage in model.stages if stage.breakdown is not None]
    stage = min(split, key=lambda s: (s.mode != "closed", s.level), default=None)
    return stage.breakdown if stage else None


def _phase(name: str) -> Callable[[LatencyBreakdown], Cell]:
    def cell(split: LatencyBreakdown) -> Cell:
        means: dict[str, float] = {phase: seen.mean.value for phase, seen in split}
        return Cell(formatting.seconds(means[name]), bar=means[name] / (sum(means.values()) or 1))

    return cell
