"""Ability by level, a small chart per kind of question."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import ModelResult, Proportion
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import axes, labels, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.rows import shortened

_WIDTH, _HEIGHT = 270.0, 190.0
_FRAME = Frame(44, 14, 178, 146)
_LABEL_GAP = 13.0


@dataclass(frozen=True, slots=True)
class LevelScore:
    """The score of one model at one level of one kind."""

    level: int
    score: Proportion


def names(models: Sequence[ModelResult]) -> list[str]:
    """Return the kinds of questions, in the order of the results."""
    seen = (k.kind for m in models if m.ability for k in m.ability.kinds)
    return list(dict.fromkeys(seen))


def ladder(model: ModelResult, kind: str) -> list[LevelScore]:
    """Return the scores of a model for one kind, by level."""
    kinds = model.ability.kinds if model.ability else ()
    return sorted(
        (LevelScore(k.level, k.score) for k in kinds if k.kind == kind), key=lambda r: r.level
    )


def draw(models: Sequence[ModelResult], kind: str) -> Markup | None:
    """Return the chart of one kind; None without any score."""
    ladders = [(i, m.name, found) for i, m in enumerate(models) if (found := ladder(m, kind))]
    if not ladders:
        return None
    levels = sorted({r.level for _, _, found in ladders for r in found})
    room = 0.5 if len(levels) == 1 else 0.15
    across = _Levels(tuple(levels), _FRAME.left, _FRAME.right, room)
    up = scales.Linear(0.0, 1.0, _FRAME.bottom, _FRAME.top, 2)
    drawn = (
        svg.group(*_steps(name, found, across, up), class_=f"s{i}") for i, name, found in ladders
    )
    return svg.drawing(
        _WIDTH,
        _HEIGHT,
        f"{kind}: fraction correct by level",
        "; ".join(_describe(name, found) for _, name, found in ladders) + ".",
        axes.x_axis(_FRAME, across, formatting.tick, "level"),
        axes.y_axis(_FRAME, up, formatting.percent, ""),
        *drawn,
        _names(ladders, across, up),
        key=f"kind-{names(models).index(kind)}",
    )


@dataclass(frozen=True, slots=True)
class _Levels:
    """A scale of integer levels with a margin at both ends."""

    levels: tuple[int, ...]
    begin: float
    end: float
    room: float

    def at(self, value: float) -> float:
        low, high = self.levels[0] - self.room, self.levels[-1] + self.room
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)

    def ticks(self) -> tuple[float, ...]:
        return tuple(float(level) for level in self.levels)


def _steps(
    name: str, found: Sequence[LevelScore], across: _Levels, up: scales.Scale
) -> list[Markup]:
    pixels = [(across.at(r.level), up.at(r.score.value)) for r in found]
    tips = [
        f"{name}, level {r.level}: {text.with_interval(r.score)}, n = {r.score.n}" for r in found
    ]
    marks = [svg.circle(at, 3, "mark", tip) for at, tip in zip(pixels, tips, strict=True)]
    return [svg.polyline(pixels, "trace"), *marks]


def _names(
    ladders: Sequence[tuple[int, str, list[LevelScore]]], across: _Levels, up: scales.Scale
) -> Markup:
    ends = [up.at(found[-1].score.value) for _, _, found in ladders]
    heights = labels.spread(ends, _LABEL_GAP, _FRAME.bottom)
    return svg.join(
        svg.label((_FRAME.right + 8, y + 4), shortened(name, 13), f"label small s{i}")
        for (i, name, _), y in zip(ladders, heights, strict=True)
    )


def _describe(name: str, found: Sequence[LevelScore]) -> str:
    return f"{name}: " + ", ".join(
        f"level {r.level} {formatting.percent(r.score.value)}" for r in found
    )
