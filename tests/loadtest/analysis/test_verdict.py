from dataclasses import replace

import pytest

from loadtest import sample_results as sample
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import ModelInfo, ModelResult, Requirements

MODELS = tuple(sample.model(size) for size in sample.SIZES)


def test_the_smallest_size_that_reaches_everything_is_named() -> None:
    found = verdict.decide(MODELS, Requirements(ability=0.6, tok_s_user=60))
    assert found.smallest == "qwen2.5:7b"
    assert found.sentence.endswith("is qwen2.5:7b.")
    assert [check.passes for check in found.checks] == [False, False, False, True, False]
    assert found.checks[4].misses == ("speed 34.1 tokens/s < 60 tokens/s",)


def test_a_larger_size_that_passes_does_not_displace_a_smaller_one() -> None:
    assert verdict.decide(MODELS, Requirements(ability=0.4)).smallest == "qwen2.5:1.5b"


def test_first_token_is_asked_to_be_small() -> None:
    found = verdict.decide(MODELS, Requirements(ttft_p50=0.05))
    assert [check.passes for check in found.checks] == [True, False, False, False, False]


def test_what_was_not_measured_neither_passes_nor_fails() -> None:
    blank = ModelResult(name="unknown", model_info=ModelInfo())
    found = verdict.decide((blank, *MODELS), Requirements(ability=0.2))
    assert found.checks[0].passes is None
    assert found.checks[0].misses == ("ability was not measured",)
    assert found.smallest == "qwen2.5:0.5b"
    assert "Not fully measured: unknown." in found.sentence


def test_a_broken_size_does_not_pass_whatever_was_measured() -> None:
    found = sample.broken().verdict
    assert found
    assert found.checks[0].passes is False
    assert found.checks[0].misses == ("broken: 60 of 80 requests failed (limit 5%)",)
    assert found.smallest == "qwen2.5:1.5b"
    assert "The fastest is qwen2.5:1.5b" in verdict.decide(sample.broken().models, Requirements()).sentence


def test_no_bar_recommends_nothing() -> None:
    found = verdict.decide(MODELS, Requirements())
    assert found.smallest is None
    assert "qwen2.5:14b" in found.sentence
    assert "qwen2.5:0.5b" in found.sentence


def test_a_close_call_is_said() -> None:
    close = sample.model(replace(sample.SIZES[0], ability=0.6))
    assert close.ability
    requirements = Requirements(ability=close.ability.overall.value - 0.01)
    assert "It is close" in verdict.decide([close], requirements).sentence


@pytest.mark.parametrize("bar", [Requirements(ability=0.99), Requirements(tok_s_user=1e6)])
def test_none_passes(requirements: Requirements) -> None:
    assert verdict.decide(MODELS, requirements).smallest is None
