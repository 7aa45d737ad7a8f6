from dataclasses import replace

import pytest

from loadtest import sample_results as sample
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import ModelInfo, ModelResult, Requirements

MODELS = tuple(sample.model(size) for size in sample.SIZES)


def test_the_smallest_model_that_meets_all_requirements_is_named() -> None:
    found = verdict.decide(MODELS, Requirements(ability=0.6, tok_s_user=60))
    assert found.smallest == "qwen2.5:7b"
    assert found.sentence.endswith("is qwen2.5:7b.")
    assert [check.passes for check in found.checks] == [False, False, False, True, False]
    assert found.checks[4].misses == ("speed 34.1 tokens/s < 60 tokens/s",)


def test_a_smaller_model_is_preferred() -> None:
    assert verdict.decide(MODELS, Requirements(ability=0.4)).smallest == "qwen2.5:1.5b"


@pytest.mark.parametrize("ability", [None, 0.2])
def test_a_verdict_without_ability_says_so(ability: float | None) -> None:
    found = verdict.decide(MODELS, Requirements(tok_s_user=1, ability=ability))
    assert found.smallest == "qwen2.5:0.5b"
    assert (verdict.SENTENCES["no_ability"] in found.sentence) is (ability is None)


def test_ttft_is_an_upper_limit() -> None:
    found = verdict.decide(MODELS, Requirements(ttft_p50=0.05))
    assert [check.passes for check in found.checks] == [True, False, False, False, False]


def test_the_mean_of_ttft_decides_where_there_are_too_few_requests_for_a_median() -> None:
    first = MODELS[0]
    stages = tuple(
        stage.model_copy(update={"ttft": stage.ttft.model_copy(update={"p50": None})})
        for stage in first.stages
        if stage.ttft is not None
    )
    mean = min(stage.ttft.mean.value for stage in stages if stage.ttft)
    few = first.model_copy(update={"stages": stages})
    for limit, passes in ((mean * 2, True), (mean / 2, False)):
        found = verdict.decide((few,), Requirements(ttft_p50=limit))
        assert found.checks[0].passes is passes


def test_an_unmeasured_requirement_neither_passes_nor_fails() -> None:
    blank = ModelResult(name="unknown", model_info=ModelInfo())
    found = verdict.decide((blank, *MODELS), Requirements(ability=0.2))
    assert found.checks[0].passes is None
    assert len(found.checks[0].misses) == 1
    assert found.smallest == "qwen2.5:0.5b"
    assert "Not fully measured: unknown." in found.sentence


def test_an_invalid_model_does_not_pass() -> None:
    found = sample.invalid_model().verdict
    assert found
    assert found.checks[0].passes is False
    assert "60 of 80" in found.checks[0].misses[0]
    assert found.smallest == "qwen2.5:1.5b"
    assert (
        "Fastest: qwen2.5:1.5b"
        in verdict.decide(sample.invalid_model().models, Requirements()).sentence
    )


def test_without_requirements_nothing_passes_and_nothing_is_recommended() -> None:
    found = verdict.decide(MODELS, Requirements())
    assert found.smallest is None
    assert {check.passes for check in found.checks} == {None}
    assert not any(check.misses for check in found.checks)
    assert "qwen2.5:14b" in found.sentence
    assert "qwen2.5:0.5b" in found.sentence


def test_a_requirement_inside_the_interval_is_reported() -> None:
    close = sample.model(replace(sample.SIZES[0], ability=0.6))
    assert close.ability
    requirements = Requirements(ability=close.ability.overall.value - 0.01)
    assert "contains the requirement" in verdict.decide([close], requirements).sentence


@pytest.mark.parametrize("requirements", [Requirements(ability=0.99), Requirements(tok_s_user=1e6)])
def test_requirements_that_no_model_meets(requirements: Requirements) -> None:
    assert verdict.decide(MODELS, requirements).smallest is None


def test_models_in_no_known_order_have_no_smallest() -> None:
    found = verdict.decide(MODELS, Requirements(ability=0.4), ordered_by_size=False)
    assert found.smallest == "qwen2.5:1.5b"
    assert "mallest" not in found.sentence
    assert "first listed" in found.sentence


def test_cost_is_an_upper_limit() -> None:
    found = verdict.decide(MODELS, Requirements(cost_per_million=0.1))
    assert [check.passes for check in found.checks] == [True, True, False, False, False]
    unpriced = [model.model_copy(update={"cost": None}) for model in MODELS]
    checks = verdict.decide(unpriced, Requirements(cost_per_million=0.1)).checks
    assert {check.passes for check in checks} == {None}
