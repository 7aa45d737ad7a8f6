import pytest

from loadtest import sample_results as sample
from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import cost
from sizeup_loadtest.data.results import Estimate, ModelResult
from sizeup_loadtest.report.views import cells

MODEL = sample.model(sample.SIZES[0]).model_copy(update={"capacity": None})


def test_cost_of_tokens_at_the_best_throughput() -> None:
    best = max((s.out_tok_s for s in MODEL.stages if s.out_tok_s), key=lambda rate: rate.value)
    found = cost.estimate_cost(MODEL, 3.6)
    assert found
    assert found.at_level == 8
    million = found.per_million_output_tokens
    assert million
    assert million.value == pytest.approx(3.6 / 3600 / best.value * 1e6)
    assert best.low
    assert million.high == pytest.approx(3.6 / 3600 / best.low * 1e6)


def test_cost_of_correct_answers_over_all_questions() -> None:
    """The duration includes prompts, wrong answers and concurrency."""
    model = ability(correct_per_second=Estimate(value=2, low=1, high=4))
    found = cost.estimate_cost(model, 3600)
    assert found
    assert found.per_correct_answer == Estimate(value=0.5, low=0.25, high=1)
    assert cost.per_thousand(found) == Estimate(value=500, low=250, high=1000)


def test_an_interval_down_to_zero_has_no_upper_cost() -> None:
    found = cost.estimate_cost(ability(correct_per_second=Estimate(value=2, low=0, high=4)), 3600)
    assert found
    assert found.per_correct_answer == Estimate(value=0.5)


def test_loads_within_the_slo_take_precedence() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.estimate_cost(model, 1.0)
    assert found
    assert model.capacity
    assert found.within_slo
    assert found.at_level == model.capacity.max_load
    used = next(p.out_tok_s for p in model.capacity.points if p.level == found.at_level)
    assert max(p.out_tok_s or 0 for p in model.capacity.points) > (used or 0)
    assert found.upper_bound is False
    assert cells.cost_per_million(found).text == formatting.dollars(1.0 / 3600 / (used or 1) * 1e6)


@pytest.mark.parametrize(
    "change", [{"bounded_by_limit": True}, {"finished": False}, {"client_late": True}]
)
def test_an_inconclusive_search_gives_an_upper_bound(
    change: dict[str, bool],
) -> None:
    model = sample.model(sample.SIZES[0])
    assert model.capacity
    points = model.capacity.points
    if "bounded_by_limit" in change:
        points = tuple(p for p in points if p.attainment.value >= 0.95 and not p.saturated)
    searched = model.capacity.model_copy(update={**change, "points": points})
    found = cost.estimate_cost(model.model_copy(update={"capacity": searched, "stages": ()}), 1.0)
    assert found
    assert found.upper_bound
    assert (cells.cost_per_million(found).text or "").startswith("≤ $")


def ability(**update: object) -> ModelResult:
    assert MODEL.ability
    return MODEL.model_copy(update={"ability": MODEL.ability.model_copy(update=update)})


def test_a_cost_outside_the_slo_is_marked() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.estimate_cost(model, 1.0, attainment=1.01)
    assert found
    assert found.within_slo is False
    assert "outside the SLO" in (cells.cost_per_million(found).note or "")
    kept = cost.estimate_cost(model, 1.0)
    assert kept
    assert kept.within_slo
    assert "outside" not in (cells.cost_per_million(kept).note or "")


def test_without_a_price_there_is_no_cost() -> None:
    assert cost.estimate_cost(MODEL, None) is None


def test_without_measurements_cost_is_unknown() -> None:
    found = cost.estimate_cost(MODEL.model_copy(update={"stages": (), "ability": None}), 1.0)
    assert found
    assert found.per_million_output_tokens is None
    assert found.per_correct_answer is None


def test_without_correct_answers_their_cost_is_unknown() -> None:
    assert MODEL.ability
    none = MODEL.ability.overall.model_copy(update={"successes": 0, "value": 0.0})
    model = ability(overall=none, correct_per_second=Estimate(value=0, low=0, high=0))
    found = cost.estimate_cost(model, 1.0)
    assert found
    assert found.per_correct_answer is None
    assert cost.seconds_per_correct(model.ability) is None
