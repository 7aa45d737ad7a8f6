"""Rates and ratios of the rounds of a load."""

import pytest

from benchmarks.results import MODEL, load, sample
from engine_peers.figures import (
    bandwidth_share,
    decode_rate,
    median_rate,
    output_rate,
    prefill_rate,
    ratio,
    step_seconds,
)


def test_rates_are_medians_over_the_rounds() -> None:
    rounds = load([sample(4.0), sample(1.0), sample(2.0)], [sample(1.0)] * 3)
    assert median_rate(rounds, output_rate, "sizeup") == 4.0
    assert median_rate(rounds, prefill_rate, "sizeup") == 8.0
    assert median_rate(rounds, decode_rate, "sizeup") == 2.0


def test_a_ratio_is_that_of_paired_rounds() -> None:
    rounds = load([sample(1.0), sample(8.0), sample(4.0)], [sample(2.0), sample(8.0), sample(2.0)])
    compared = ratio(rounds, output_rate, "sizeup", "llama")
    assert compared is not None
    assert (compared.median, compared.lowest, compared.highest) == (1.0, 0.5, 2.0)
    assert str(compared) == "1.00 (0.50 to 2.00)"


def test_a_round_without_common_decode_steps_has_no_decode_figures() -> None:
    rounds = load([sample(1.0), sample(1.0, decode_tokens=0)], [sample(1.0)] * 2)
    assert median_rate(rounds, decode_rate, "sizeup") is None
    assert ratio(rounds, decode_rate, "sizeup", "llama") is None
    assert step_seconds(rounds, "sizeup") is None
    assert bandwidth_share(rounds, "sizeup", MODEL) is None


def test_the_bandwidth_bound_is_of_weights_and_context() -> None:
    rounds = load([sample(1.0)], [sample(1.0)])
    assert step_seconds(rounds, "sizeup") == 1.0
    # 1000 bytes of weights, and 2 streams x 10 tokens x 10 bytes, at 1000 bytes per second.
    assert bandwidth_share(rounds, "sizeup", MODEL) == pytest.approx(1.2)
