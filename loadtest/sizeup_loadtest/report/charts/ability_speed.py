"""Ability against speed, with cost as area."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    Cost,
    Estimate,
    ModelResult,
    Proportion,
    Requirements,
    Verdict,
)
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import axes, labels, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.rows import shortened

_WIDTH, _HEIGHT = 600.0, 410.0
_FRAME = Frame(56, 38, 586, 358)
_LARGEST = 24.0
"""Radius of the most expensive model, in pixels."""
_SMALLEST = 5.0
_HIDING = 10.0
"""Radius from which a disc hides most error bars."""
_UNPRICED = 7.0


@dataclass(frozen=True, slots=True)
class _Disc:
    name: str
    class_: str
    speed: Estimate
    ability: Proportion
    priced: Cost | None

    @property
    def cost(self) -> float | None:
        """Return dollars per million tokens."""
        million = self.priced.per_million_output_tokens if self.priced else None
        return million.value if million else None


def draw(models: Sequence[ModelResult], verdict: Verdict | None) -> Markup | None:
    """Return the chart; None unless a model has both speed and ability."""
    discs = [p for i, m in enumerate(models) if (p := _to_disc(i, m)) is not None]
    if not discs:
        return None
    requirements = verdict.requirements if verdict else Requirements()
    across = _across(discs, requirements)
    up = scales.Linear(0.0, 1.0, _FRAME.bottom, _FRAME.top, 5)
    radii = _radii([p.cost for p in discs])
    centres = [(across.at(p.speed.value), up.at(p.ability.value)) for p in discs]
    return svg.drawing(
        _WIDTH,
        _HEIGHT,
        "Ability against speed, cost as area",
        _description(discs),
        axes.x_axis(_FRAME, across, formatting.tick, "tokens per second per user  (faster →)"),
        axes.y_axis(
            _FRAME, up, formatting.percent, "fraction of correct answers  (more accurate ↑)"
        ),
        _accepted(requirements, across, up),
        svg.polyline(centres, "link"),
        *(
            _mark(_errors(p, across, up), _circle(p, centre, radius, verdict), radius)
            for p, centre, radius in zip(discs, centres, radii, strict=True)
        ),
        _names(discs, centres, radii, _lines(discs, centres, requirements, across, up)),
        key="ability-speed",
    )


def _to_disc(i: int, model: ModelResult) -> _Disc | None:
    stage = lightest_stage(model)
    if stage is None or stage.tok_s_user is None or model.ability is None:
        return None
    return _Disc(model.name, f"s{i}", stage.tok_s_user, model.ability.overall, model.cost)


def _across(discs: Sequence[_Disc], requirements: Requirements) -> scales.Scale:
    values = [p.speed.value for p in discs]
    values += [v for p in discs for v in (p.speed.low, p.speed.high) if v is not None]
    limit = requirements.tok_s_user
    if limit and min(values) / 5 < limit < max(values) * 5:
        values.append(limit)
    if max(values) / min(values) >= 4:
        return scales.logarithmic(values, _FRAME.left, _FRAME.right, 8)
    return scales.from_zero([max(values) * 1.08], _FRAME.left, _FRAME.right, 6)


def _radii(costs: Sequence[float | None]) -> list[float]:
    """Return radii with areas proportional to costs; a cost of zero or none has a fixed one."""
    top = max((c for c in costs if c), default=None)
    return [
        max(_SMALLEST, _LARGEST * math.sqrt(c / top)) if c and top else _UNPRICED for c in costs
    ]


def _accepted(requirements: Requirements, across: scales.Scale, up: scales.Scale) -> Markup | None:
    """Shade the area that meets the requirements."""
    if requirements.ability is None and requirements.tok_s_user is None:
        return None
    left, bottom = _corner(requirements, across, up)
    return svg.join(
        (
            svg.rect((left, _FRAME.top), (_FRAME.right - left, bottom - _FRAME.top), "accepted"),
            svg.line((left, bottom), (_FRAME.right, bottom), "limit"),
            svg.line((left, bottom), (left, _FRAME.top), "limit"),
            svg.label(
                (_FRAME.right - 8, _FRAME.top + 17), "meets the requirements", "limit", "end"
            ),
        )
    )


def _corner(requirements: Requirements, across: scales.Scale, up: scales.Scale) -> svg.Point:
    left = across.at(requirements.tok_s_user) if requirements.tok_s_user else _FRAME.left
    bottom = up.at(requirements.ability) if requirements.ability is not None else _FRAME.bottom
    return min(max(left, _FRAME.left), _FRAME.right), bottom


def _errors(disc: _Disc, across: scales.Scale, up: scales.Scale) -> Markup:
    x, y = across.at(disc.speed.value), up.at(disc.ability.value)
    parts = [axes.error_y(x, up.at(disc.ability.low), up.at(disc.ability.high))]
    if disc.speed.low is not None and disc.speed.high is not None:
        parts.append(axes.error_x(y, across.at(disc.speed.low), across.at(disc.speed.high)))
    return svg.group(*parts, class_=disc.class_)


def _mark(errors: Markup, disc: Markup, radius: float) -> Markup:
    """Put error bars over a disc that would hide them, else under it."""
    return svg.join((disc, errors) if radius > _HIDING else (errors, disc))


def _circle(disc: _Disc, centre: svg.Point, radius: float, verdict: Verdict | None) -> Markup:
    chosen = verdict is not None and verdict.smallest == disc.name
    ring = svg.circle(centre, radius + 4.5, "ring") if chosen else None
    class_ = "disc" if disc.cost is not None else "disc hollow"
    return svg.group(ring, svg.circle(centre, radius, class_, _describe(disc)), class_=disc.class_)


def _lines(
    discs: Sequence[_Disc],
    centres: Sequence[svg.Point],
    requirements: Requirements,
    across: scales.Scale,
    up: scales.Scale,
) -> list[labels.Line]:
    """Return what labels should not cover: connecting lines, error bars, requirements."""
    corner = _corner(requirements, across, up)
    lines: list[labels.Line] = list(pairwise(centres))
    lines += [(corner, (_FRAME.right, corner[1])), (corner, (corner[0], _FRAME.top))]
    for disc, (x, y) in zip(discs, centres, strict=True):
        lines.append(((x, up.at(disc.ability.low)), (x, up.at(disc.ability.high))))
        if disc.speed.low is not None and disc.speed.high is not None:
            lines.append(((across.at(disc.speed.low), y), (across.at(disc.speed.high), y)))
    return lines


def _names(
    discs: Sequence[_Disc],
    centres: Sequence[svg.Point],
    radii: Sequence[float],
    lines: Sequence[labels.Line],
) -> Markup:
    texts = [_label(p) for p in discs]
    circles = [(x, y, r + 4) for (x, y), r in zip(centres, radii, strict=True)]
    within = labels.Box(_FRAME.left, _FRAME.top + 20, _FRAME.right, _FRAME.bottom)
    positions = labels.around(circles, texts, within, lines)
    return svg.join(
        svg.label((position.x, position.y), written, f"label {p.class_}", position.anchor)
        for p, position, written in zip(discs, positions, texts, strict=True)
    )


def _label(disc: _Disc) -> str:
    name = shortened(disc.name)
    cost_text = text.cost_per_million(disc.priced)
    return name if cost_text is None else f"{name} · {cost_text}"


def _describe(disc: _Disc) -> str:
    cost_text = text.cost_per_million(disc.priced)
    cost = "cost unknown" if cost_text is None else f"{cost_text} per M tokens"
    speed = formatting.number(disc.speed.value)
    return (
        f"{disc.name}: {formatting.percent(disc.ability.value)} correct, {speed} tokens/s, {cost}"
    )


def _description(discs: Sequence[_Disc]) -> str:
    return "; ".join(_describe(p) for p in discs) + "."
