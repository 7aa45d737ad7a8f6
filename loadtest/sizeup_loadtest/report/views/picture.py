"""Charts of ability against speed and cost. Pure."""

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import chart
from sizeup_loadtest.report.charts.chart import Axis, Bound, Point, Series
from sizeup_loadtest.report.views import cards
from sizeup_loadtest.report.views.blocks import Grid, Section

_WHOLE, _HALF = 800.0, 560.0
"""Widths of a chart alone, and of one beside another."""


def section(results: Results) -> Section | None:
    """Ability against speed, and against cost where there are prices."""
    required = cards.requirements(results)
    speed = Bound("tok_s_user", required.tok_s_user)
    cost = Bound("cost_per_million", required.cost_per_million, is_minimum=False)
    width = _HALF if any(model.cost for model in results.models) else _WHOLE
    drawn = (
        _against(results, speed, "tokens/s per user (faster →)", formatting.tick, width),
        _against(
            results, cost, "$ per M output tokens (← cheaper)", formatting.dollars_tick, width
        ),
    )
    if not any(drawn):
        return None
    return Section(
        "picture",
        "Ability against speed and cost",
        "Up is more accurate. The shaded area meets the requirements; bars are 95 % intervals.",
        (Grid(drawn, "grid wide"),),
        short="Ability and speed",
    )


def _against(
    results: Results, bound: Bound, title: str, write: text.Format, width: float
) -> Markup | None:
    ability, limited = verdict.REQUIREMENTS["ability"], verdict.REQUIREMENTS[bound.key]
    series = []
    for i, model in enumerate(results.models):
        up, across = ability.measured(model), limited.measured(model)
        if up is None or across is None:
            continue
        tip = (
            f"{model.name}: {formatting.percent(up.value)} correct,"
            f" {formatting.number(across.value)} {limited.unit}"
        )
        point = Point(across.value, up.value, tip, x_ends=_ends(across), y_ends=_ends(up))
        class_ = f"s{i} chosen" if cards.is_chosen(results, model) else f"s{i}"
        series.append(Series(model.name, class_, (point,)))
    at_least = Bound("ability", cards.requirements(results).ability)
    return chart.draw(
        f"ability-{bound.key}",
        title,
        (width, 400),
        series,
        Axis(title, write, 6, bound=bound),
        Axis("correct answers (more accurate ↑)", formatting.percent, range=(0, 1), bound=at_least),
        joined=False,
    )


def _ends(seen: verdict.Measured) -> tuple[float, float] | None:
    return None if seen.low is None or seen.high is None else (seen.low, seen.high)
