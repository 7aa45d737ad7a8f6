"""Latency over total throughput under increasing load, one curve per model."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import load_curve
from sizeup_loadtest.data.results import ModelResult
from sizeup_loadtest.report.charts import axes, labels, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.rows import shortened

_WIDTH, _HEIGHT = 520.0, 330.0
_FRAME = Frame(58, 34, 400, 282)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One load: total throughput, and latency of a user."""

    level: float
    throughput: float
    latency: float
    saturated: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """One model over its loads."""

    name: str
    class_: str
    points: tuple[CurvePoint, ...]
    knee: float | None
    max_load: float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """The latency metric of a chart."""

    metric: str
    """ttft_sched or tpot."""
    title: str
    slo: float | None


def draw(models: Sequence[ModelResult], panel: Panel) -> Markup | None:
    """Return the chart; None unless a model was measured under two loads."""
    drawn = [line for line in lines(models, panel.metric) if len(line.points) > 1]
    if not drawn:
        return None
    across = scales.fitting(
        [p.throughput for line in drawn for p in line.points], _FRAME.left, _FRAME.right, 5
    )
    latencies = [p.latency for line in drawn for p in line.points]
    if panel.slo and panel.slo < 4 * max(latencies):
        latencies.append(panel.slo)
    up = scales.fitting(latencies, _FRAME.bottom, _FRAME.top, 6)
    return svg.drawing(
        _WIDTH,
        _HEIGHT,
        panel.title,
        _description(drawn),
        axes.x_axis(_FRAME, across, formatting.tick, "total tokens per second"),
        axes.y_axis(_FRAME, up, formatting.seconds_tick, panel.title),
        *(_line(line, across, up) for line in drawn),
        _slo(panel.slo, up),
        _names(drawn, across, up, panel.slo),
        key=f"curve-{panel.metric}",
    )


def lines(models: Sequence[ModelResult], metric: str) -> list[Curve]:
    """Return the curve of every model, from its capacity search if any, else from its stages."""
    return [_of(i, model, metric) for i, model in enumerate(models)]


def _of(i: int, model: ModelResult, metric: str) -> Curve:
    searched = model.capacity
    points = _searched(model, metric) if searched else _staged(model, metric)
    return Curve(
        model.name,
        f"s{i}",
        points,
        searched.knee if searched else None,
        searched.max_load if searched else None,
    )


def _searched(model: ModelResult, metric: str) -> tuple[CurvePoint, ...]:
    found = []
    for point in model.capacity.points if model.capacity else ():
        latency = point.tpot_p50 if metric == "tpot" else point.ttft_p50
        if latency is not None and point.out_tok_s:
            found.append(CurvePoint(point.level, point.out_tok_s, latency, point.saturated))
    return tuple(sorted(found, key=lambda p: p.level))


def _staged(model: ModelResult, metric: str) -> tuple[CurvePoint, ...]:
    found = []
    for stage in load_curve(model):
        seen = stage.tpot if metric == "tpot" else stage.ttft_sched
        if stage.out_tok_s and stage.out_tok_s.value > 0 and seen and seen.p50 is not None:
            found.append(CurvePoint(stage.level, stage.out_tok_s.value, seen.p50, False))
    return tuple(found)


def _slo(seconds: float | None, up: scales.Scale) -> Markup | None:
    if seconds is None:
        return None
    y = up.at(seconds)
    if not _FRAME.top <= y <= _FRAME.bottom:
        return None
    return svg.line((_FRAME.left, y), (_FRAME.right, y), "limit")


def _line(line: Curve, across: scales.Scale, up: scales.Scale) -> Markup:
    pixels = [(across.at(p.throughput), up.at(p.latency)) for p in line.points]
    marks = [
        svg.circle(at, 3, "mark hollow" if p.saturated else "mark", _describe(line, p))
        for p, at in zip(line.points, pixels, strict=True)
    ]
    return svg.group(
        svg.polyline(pixels, "trace"),
        *marks,
        _knee(line, pixels),
        _largest(line, pixels),
        class_=line.class_,
    )


def _knee(line: Curve, pixels: Sequence[svg.Point]) -> Markup | None:
    """Ring the tried load next to the knee, which is between loads."""
    if line.knee is None:
        return None
    knee = line.knee
    near = min(range(len(pixels)), key=lambda i: abs(line.points[i].level - knee))
    return svg.circle(
        pixels[near], 7.5, "knee", f"{line.name}: knee at load {formatting.number(knee)}"
    )


def _largest(line: Curve, pixels: Sequence[svg.Point]) -> Markup | None:
    for point, at in zip(line.points, pixels, strict=True):
        if point.level == line.max_load:
            return svg.diamond(at, 6.5, "mark", f"{line.name}: maximum load within the SLO")
    return None


def _names(
    drawn: Sequence[Curve], across: scales.Scale, up: scales.Scale, slo: float | None
) -> Markup:
    """Label every curve at its end, and the SLO, without overlaps."""
    ends = [(across.at(x.points[-1].throughput), up.at(x.points[-1].latency)) for x in drawn]
    named = [(shortened(x.name, 14), x.class_) for x in drawn]
    if slo is not None and _FRAME.top <= up.at(slo) <= _FRAME.bottom:
        ends.append((_FRAME.right, up.at(slo)))
        named.append((f"≤ {formatting.seconds(slo)}", "limit"))
    heights = labels.spread([y for _, y in ends], labels.HEIGHT, _FRAME.bottom)
    at = _FRAME.right + 12
    return svg.join(
        svg.group(
            svg.line(end, (at - 3, y), "leader"),
            svg.label((at, y + 4), name, "limit" if class_ == "limit" else f"label {class_}"),
            class_=class_,
        )
        for (name, class_), end, y in zip(named, ends, heights, strict=True)
    )


def _describe(line: Curve, point: CurvePoint) -> str:
    load, rate = formatting.tick(point.level), formatting.number(point.throughput)
    saturated = ", saturated" if point.saturated else ""
    latency = formatting.seconds(point.latency)
    return f"{line.name}, load {load}: {rate} tokens/s total, {latency}{saturated}"


def _description(drawn: Sequence[Curve]) -> str:
    ends = (f"{x.name} ends at {_describe(x, x.points[-1])}" for x in drawn)
    return f"One curve per model under increasing load. {'; '.join(ends)}."
