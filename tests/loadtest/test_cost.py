import pytest

from loadtest import sample_results as sample
from sizeup_loadtest import cost
from sizeup_loadtest.report import words

MODEL = sample.model(sample.SIZES[0]).model_copy(update={"capacity": None})


def test_the_formula() -> None:
    best = max(s.out_tok_s.value for s in MODEL.stages if s.out_tok_s)
    found = cost.of(MODEL, 3.6)
    assert found
    assert found.at_level == 8
    assert found.per_million_output_tokens == pytest.approx(3.6 / 3600 / best * 1e6)
    assert MODEL.ability
    assert MODEL.ability.tokens_per_answer
    each = 3.6 / 3600 / best * MODEL.ability.tokens_per_answer.value
    assert found.per_correct_answer == pytest.approx(each / MODEL.ability.overall.value)


def test_load_beyond_the_objective_is_not_used_while_any_is_within() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.best_throughput(model)
    assert found
    assert model.capacity
    assert found.within
    assert found.level == model.capacity.largest
    assert max(p.out_tok_s for p in model.capacity.points) > found.tokens_per_second


def test_a_size_that_keeps_no_objective_has_a_price_that_says_so() -> None:
    model = sample.model(sample.SIZES[4])
    found = cost.of(model, 1.0, attainment=1.01)
    assert found
    assert found.within is False
    assert (
        words.at_load(found) == f"at load {words.tick(found.at_level or 0)}, beyond the objective"
    )
    kept = cost.of(model, 1.0)
    assert kept
    assert kept.within
    assert "beyond" not in (words.at_load(kept) or "")


def test_no_price_no_cost() -> None:
    assert cost.of(MODEL, None) is None


def test_nothing_measured_is_blank_and_not_free() -> None:
    found = cost.of(MODEL.model_copy(update={"stages": ()}), 1.0)
    assert found
    assert found.per_million_output_tokens is None
    assert found.per_correct_answer is None


def test_no_right_answer_has_no_price_per_right_answer() -> None:
    assert MODEL.ability
    none = MODEL.ability.overall.model_copy(update={"successes": 0, "value": 0.0})
    model = MODEL.model_copy(update={"ability": MODEL.ability.model_copy(update={"overall": none})})
    found = cost.of(model, 1.0)
    assert found
    assert found.per_correct_answer is None
    assert cost.seconds_per_correct(model.ability) is None
