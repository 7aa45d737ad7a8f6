"""What happens as more people ask at once: throughput against latency, knee, capacity."""

from collections.abc import Mapping

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import curve
from sizeup_loadtest.data.results import ModelResult, Results, StageResult
from sizeup_loadtest.report.charts import breakdown, curves
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, cells, figure, grid
from sizeup_loadtest.report.tables import Cell, Row, blank, table

_ONE_LOAD = "a curve needs two loads with a median each, which needs 6 requests (config: load)"


def section(results: Results) -> ConfigSection:
    """Return throughput-latency curves and the table of every load."""
    slo = results.config.get("slo")
    asked = slo if isinstance(slo, Mapping) else {}
    title = f"median time to first token{_from_schedule(results)}"
    first = curves.Panel("ttft_sched", title, _number(asked, "ttft_seconds"))
    pace = curves.Panel("tpot", "median time per output token", _number(asked, "tpot_seconds"))
    charts = grid(
        figure(curves.draw(results.models, first), _ONE_LOAD),
        figure(curves.draw(results.models, pace), _ONE_LOAD),
        class_="grid wide",
    )
    return ConfigSection(
        "load",
        "How much each size carries",
        "Load",
        "Each line is a size under rising load, from left: more tokens per second in all, and a"
        " longer wait for each user. The dashed line is the objective. A ring marks the knee, a"
        " diamond the largest load within the objective, a hollow dot a load whose queue kept"
        " growing.",
        join((charts, _capacity(results), _loads(results))),
    )


def _from_schedule(results: Results) -> str:
    """Say from when it counts where that differs from sending: in open loop a queue is in it."""
    modes = {m.capacity.mode for m in results.models if m.capacity}
    modes |= {s.mode for m in results.models if m.capacity is None for s in curve(m)}
    return ", from schedule" if "open" in modes else ""


def _number(section: Mapping[str, object], key: str) -> float | None:
    value = section.get(key)
    return float(value) if isinstance(value, int | float) else None


def _capacity(results: Results) -> Markup:
    heads = (
        "Size",
        "Largest load|within objective",
        "In objective|at that load",
        "Knee|load",
        "Effective parallelism",
        "Loads tried",
    )
    found = [_carried(i, model) for i, model in enumerate(results.models)]
    return table(heads, found, "Capacity")


def _carried(i: int, model: ModelResult) -> Row:
    searched = model.capacity
    if searched is None:
        why = blank("capacity was not searched (config: capacity.enabled)")
        return Row(model.name, (why,) * 5, class_=f"s{i}")
    unit = "concurrent requests" if searched.mode == "closed" else "requests/s"
    limit = f"{unit}; the search's own limit" if searched.bounded_by_limit else unit
    limit = f"{unit}; above it the client was late" if searched.client_late else limit
    limit = limit if searched.finished else f"{unit}; the search was cut off"
    none = "not even the smallest load kept the objective"
    max_load = blank(none) if searched.max_load is None else Cell(formatting.carries(searched), limit)
    parallelism = "no knee, so no parallelism at it"
    if searched.mode == "open":
        parallelism = "only a closed loop says how many requests were under way"
    tried = ", ".join(
        formatting.tick(p.level) for p in sorted(searched.points, key=lambda p: p.level)
    )
    cell = cells.of_value
    return Row(
        model.name,
        (
            max_load,
            cells.of_share(searched.attainment, none),
            cell(searched.knee, formatting.number, "throughput does not bend in the loads tried"),
            cell(searched.effective_parallelism, formatting.times, parallelism),
            Cell(tried),
        ),
        class_=f"s{i}",
    )


def _loads(results: Results) -> Markup | None:
    heads = (
        "Size|stage", "Requests", "Errors", "Tokens/s|in all", "Tokens/s|one user",
        "First token|p50", "First token|p95", "Per token|p50", "Whole answer|p50",
        "From schedule|p50", "In objective", "Goodput|requests/s",
    )  # fmt: skip
    found = [
        _stage(i, model, stage) for i, model in enumerate(results.models) for stage in model.stages
    ]
    if not found:
        return None
    numbers = table(heads, found, "Every size under every load")
    return tag("details", tag("summary", "Every size under every load"), numbers)


def _stage(i: int, model: ModelResult, stage: StageResult) -> Row:
    whole, planned = stage.e2e, stage.e2e_sched
    errors = ", ".join(f"{count} {kind}" for kind, count in stage.errors.items())
    first, pace = stage.ttft, stage.tpot
    return Row(
        model.name,
        (
            Cell(str(stage.n)),
            Cell(errors or "0"),
            cells.of_estimate(stage.out_tok_s, formatting.number),
            cells.of_estimate(stage.tok_s_user, formatting.number),
            cells.of_percentile(50, first),
            cells.of_percentile(95, first),
            cells.of_percentile(50, pace),
            cells.of_percentile(50, whole),
            cells.of_percentile(50, planned),
            cells.of_share(stage.attainment, "no objective was asked"),
            cells.of_estimate(stage.goodput, formatting.number, "no objective was asked"),
        ),
        class_=f"s{i}",
        detail=stage.stage,
    )


def where_time_goes(results: Results) -> ConfigSection:
    """Return latency in parts, from the server's own durations."""
    why = "no server durations were received (Ollama's API alone sends them; config: target.api)"
    heads = ("Size", *breakdown.PARTS)
    found = [
        Row(p.name, tuple(Cell(formatting.seconds(s)) for s in p.seconds), class_=None)
        for p in breakdown.parted(results.models)
    ]
    numbers = table(heads, found, "Mean time of one answer") if found else None
    return ConfigSection(
        "split",
        "Where an answer's time goes",
        "Time in parts",
        "By the server's own durations: loading the model, waiting and travelling (what is left of"
        " the whole), reading the prompt, writing the answer.",
        join((figure(breakdown.draw(results.models), why), numbers)),
    )
