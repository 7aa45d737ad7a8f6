import pytest

from loadtest import sample_results as sample
from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import cost
from sizeup_loadtest.data.results import Estimate, ModelResult
from sizeup_loadtest.report import text

MODEL = sample.model(sample.SIZES[0]).model_copy(update={"capacity": None})


def test_tokens_cost_what_the_best_throughput_says_with_its_interval() -> None:
    best = max((s.out_tok_s for s in MODEL.stages if s.out_tok_s), key=lambda rate: rate.value)
    found = cost.estimate_cost(MODEL, 3.6)
    assert found
    assert found.at_level == 8
    million = found.per_million_output_tokens
    assert million
    assert million.value == pytest.approx(3.6 / 3600 / best.value * 1e6)
    assert best.low
    assert million.high == pytest.approx(3.6 / 3600 / best.low * 1e6)


def test_right_answers_cost_the_time_all_questions_took() -> None:
    """Prompts, wrong answers and how many were asked at a time are in that time."""
    asked = ability(correct_per_second=Estimate(value=2, low=1, high=4))
    found = cost.estimate_cost(asked, 3600)
    assert found
    assert found.per_correct_answer == Estimate(value=0.5, low=0.25, high=1)
    assert cost.per_thousand(found) == Estimate(value=500, low=250, high=1000)


def test_an_interval_that_reaches_no_right_answer_has_no_end() -> None:
    found = cost.estimate_cost(ability(correct_per_second=Estimate(value=2, low=0, high=4)), 3600)
    assert found
    assert found.per_correct_answer == Estimate(value=0.5)


def test_load_beyond_the_objective_is_not_used_while_any_is_within() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.estimate_cost(model, 1.0)
    assert found
    assert model.capacity
    assert found.within_slo
    assert found.at_level == model.capacity.max_load
    used = next(p.out_tok_s for p in model.capacity.points if p.level == found.at_level)
    assert max(p.out_tok_s or 0 for p in model.capacity.points) > (used or 0)
    assert found.upper_bound is False
    assert text.cost_per_million(found) == formatting.dollars(1.0 / 3600 / (used or 1) * 1e6)


@pytest.mark.parametrize(
    "change", [{"bounded_by_limit": True}, {"finished": False}, {"client_late": True}]
)
def test_a_search_that_did_not_see_the_end_bounds_the_cost_from_above(
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
    assert (text.cost_per_million(found) or "").startswith("≤ $")


def ability(**update: object) -> ModelResult:
    assert MODEL.ability
    return MODEL.model_copy(update={"ability": MODEL.ability.model_copy(update=update)})


def test_a_size_that_keeps_no_objective_has_a_price_that_says_so() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.estimate_cost(model, 1.0, attainment=1.01)
    assert found
    assert found.within_slo is False
    assert "outside the SLO" in (text.cost_load(found) or "")
    kept = cost.estimate_cost(model, 1.0)
    assert kept
    assert kept.within_slo
    assert "outside" not in (text.cost_load(kept) or "")


def test_no_price_no_cost() -> None:
    assert cost.estimate_cost(MODEL, None) is None


def test_nothing_measured_is_blank_and_not_free() -> None:
    found = cost.estimate_cost(MODEL.model_copy(update={"stages": (), "ability": None}), 1.0)
    assert found
    assert found.per_million_output_tokens is None
    assert found.per_correct_answer is None


def test_no_right_answer_has_no_price_per_right_answer() -> None:
    assert MODEL.ability
    none = MODEL.ability.overall.model_copy(update={"successes": 0, "value": 0.0})
    model = ability(overall=none, correct_per_second=Estimate(value=0, low=0, high=0))
    found = cost.estimate_cost(model, 1.0)
    assert found
    assert found.per_correct_answer is None
    assert cost.seconds_per_correct(model.ability) is None
