"""The figures of an answer, by the replica's durations and the gateway's clock."""

import pytest

from gateway.fake_inference import finished
from sizeup_gateway.comparison.figures import AnswerCost, Stopwatch
from sizeup_wire.catalog import Price
from sizeup_wire.events import Started


def stopwatch() -> Stopwatch:
    watch = Stopwatch(begun=10.0)
    watch.start(12.5, Started(queued_ns=500_000_000, load_ns=2_000_000_000, prompt_tokens=7))
    watch.token(13.0, 1)
    watch.token(15.0, 4)
    return watch


def test_of_a_finished_answer() -> None:
    end = finished(11).model_copy(update={"prompt_eval_ns": 300_000_000, "eval_ns": 2_000_000_000})
    figures = stopwatch().figures(16.0, end, Price(per_hour=3.6, currency="EUR"))
    assert figures.queue_seconds == pytest.approx(0.7)  # of 3 s to the first token
    assert figures.load_seconds == 2.0
    assert figures.ttft_seconds == 3.0
    assert figures.prefill_seconds == 0.3
    assert figures.decode_seconds == 2.0
    assert figures.total_seconds == 6.0
    assert figures.tokens == 11
    assert figures.tokens_per_second == 5.0  # 10 intervals between 11 tokens
    assert figures.cached_tokens == 2
    assert figures.cost is not None
    assert figures.cost.currency == "EUR"
    assert figures.cost.amount == pytest.approx(0.0023)


def test_of_a_stopped_answer() -> None:
    figures = stopwatch().figures(15.5, None, None)
    assert figures.tokens == 5
    assert figures.decode_seconds == 2.0
    assert figures.tokens_per_second == 2.0
    assert figures.cost is None
    assert figures.prefill_seconds == 0.5
    assert figures.queue_seconds == 0.5  # of 3 s to the first token


def test_the_wait_of_earlier_attempts_is_load() -> None:
    watch = stopwatch()
    watch.load_seconds = 0.5
    end = finished(11).model_copy(update={"prompt_eval_ns": 300_000_000})
    figures = watch.figures(16.0, end, None)
    assert figures.load_seconds == 2.5
    assert figures.queue_seconds == pytest.approx(0.2)


def test_of_an_answer_without_a_token() -> None:
    figures = Stopwatch(begun=1.0).figures(2.0, None, Price(per_hour=1))
    assert figures.ttft_seconds is None
    assert figures.tokens_per_second is None
    assert figures.cost == AnswerCost(0.0, "USD")


def test_one_token_has_no_rate() -> None:
    end = finished(1).model_copy(update={"eval_ns": 0})
    assert Stopwatch(begun=1.0).figures(2.0, end, None).tokens_per_second is None
