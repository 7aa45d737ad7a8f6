"""What the engine accepts, rejects, delivers and counts."""

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import EngineOptions, request, running_engine
from inference.small_model import small_model, small_pooled_model
from sizeup_inference.engine.protocol import (
    Admitted,
    Embedded,
    Finish,
    Pooling,
    QueueFullError,
    RequestTooLargeError,
    Token,
    TooManyChoicesError,
)

torch.set_num_threads(1)

LONG = 400
"""Output tokens of a request that outlasts its test."""


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


def test_a_full_queue_rejects_until_a_slot_is_free(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1, max_waiting=1)) as harness:
        with harness.runner.closed():
            harness.engine.submit(request("a", [1], 2))
            harness.engine.submit(request("b", [1], 2))
            with pytest.raises(QueueFullError):
                harness.engine.submit(request("c", [1], 2))
        harness.recorder.wait_ended(["a", "b"])
        assert harness.recorder.events["c"] == []
        assert len(harness.run([request("c", [1], 2)])["c"]) == 2


def test_every_choice_takes_a_queue_slot(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=2, max_waiting=1)) as harness:
        harness.engine.submit(request("one", [1], LONG))
        with pytest.raises(QueueFullError):
            harness.engine.submit(request("three", [1], choices=3))
        harness.engine.cancel("one")
        harness.recorder.wait_ended(["one"])
        harness.engine.submit(request("three", [1], 2, choices=3))
        harness.recorder.wait_ended(["three"], choices=3)
        admitted = [e for e in harness.recorder.events["three"] if isinstance(e, Admitted)]
        assert len(admitted) == 1
        harness.assert_settled()


def test_more_choices_than_the_capacity_are_rejected(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=2, max_waiting=1)) as harness:
        with pytest.raises(TooManyChoicesError, match="n=4 exceeds capacity 3"):
            harness.engine.submit(request("four", [1], choices=4))
        harness.assert_settled()


def test_a_request_larger_than_the_kv_cache_is_rejected(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(pages=4)) as harness:
        with pytest.raises(RequestTooLargeError):
            harness.engine.submit(request("a", range(10), 7))
        assert len(harness.run([request("a", range(10), 6)])["a"]) == 6
        harness.assert_settled()


def test_an_empty_prompt_is_rejected(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        with pytest.raises(ValueError, match="empty prompt"):
            harness.engine.submit(request("a", [], embed=Pooling.MEAN))
        assert len(harness.run([request("a", [1], 2)])["a"]) == 2


def test_a_duplicate_request_id_is_rejected(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.engine.submit(request("a", [1], LONG))
        with pytest.raises(ValueError, match="duplicate request id"):
            harness.engine.submit(request("a", [1], 2))
        harness.engine.cancel("a")
        harness.recorder.wait_ended(["a"])
        harness.engine.submit(request("a", [1], 2))
        harness.recorder.wait(lambda: harness.recorder.ended("a") == 2)
        harness.assert_settled()


def test_tokens_follow_admission_and_end_with_the_finish(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.engine.submit(request("a", [1, 2], 6, choices=2))
        harness.recorder.wait_ended(["a"], choices=2)
        events = harness.recorder.events["a"]
        assert isinstance(events[0], Admitted)
        for choice in range(2):
            finishes = [e.finish for e in events if isinstance(e, Token) and e.choice == choice]
            assert finishes == [None] * 5 + [Finish.LENGTH]
        times = [e.at_ns for e in events]
        assert times == sorted(times)


def test_a_stop_token_is_the_last_token(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        free = harness.run([request("free", [1, 2], 12)])["free"]
        stop = free[4]
        stopped = harness.run([request("stopped", [1, 2], 12, stop=[stop])])["stopped"]
        assert stopped == free[: free.index(stop) + 1]
        last = harness.recorder.events["stopped"][-1]
        assert isinstance(last, Token)
        assert last.finish is Finish.STOP
        late = request("late", [1, 2], 12, stop=[stop], min_tokens=8)
        answer = harness.run([late])["late"]
        assert stop not in answer[:8]
        assert answer[: free.index(stop)] == free[: free.index(stop)]


def test_one_token_is_one_event(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        assert len(harness.run([request("a", [1, 2], 1)])["a"]) == 1
        assert harness.engine.stats().steps == 1


@pytest.mark.parametrize(
    "options",
    [EngineOptions(), EngineOptions(chunk=4)],
)
def test_an_embedding_is_the_mean_of_the_last_hidden_states(
    model: PreTrainedModel, options: EngineOptions
) -> None:
    prompt = [5, 1, 60, 33, 2, 8, 90, 7, 7, 12]
    with torch.inference_mode():
        hidden = small_model().get_decoder()(torch.tensor([prompt])).last_hidden_state  # type: ignore[no-untyped-call]
    with running_engine(model, options) as harness:
        harness.engine.submit(request("neighbour", [3, 4], 20))
        harness.engine.submit(request("a", prompt, embed=Pooling.MEAN))
        harness.recorder.wait_ended(["a", "neighbour"])
        embedded = harness.recorder.events["a"][-1]
        assert isinstance(embedded, Embedded)
        torch.testing.assert_close(
            torch.tensor(embedded.vector), hidden[0].mean(0), atol=1e-4, rtol=1e-4
        )
        harness.assert_settled()


def test_statistics_count_delivered_tokens(model: PreTrainedModel) -> None:
    made = [request(f"r{i}", range(i + 1), 4 + i, choices=1 + i % 2) for i in range(6)]
    with running_engine(model) as harness:
        for one in made:
            harness.engine.submit(one)
        for one in made:
            harness.recorder.wait_ended([one.id], one.choices)
        delivered = [e for es in harness.recorder.events.values() for e in es]
        stats = harness.engine.stats()
        assert stats.completion_tokens == sum(isinstance(e, Token) for e in delivered)
        assert stats.completion_tokens == sum(r.max_tokens * r.choices for r in made)
        looked_up = sum(len(r.prompt_ids) * r.choices for r in made)
        assert stats.prefix_cache_queries == looked_up
        assert stats.prompt_tokens == looked_up - stats.prefix_cache_hits
        assert stats.pages_total == 512
        harness.assert_settled()


def test_sequences_in_their_first_step_count_as_running(model: PreTrainedModel) -> None:
    """Otherwise an engine that hangs in it would seem idle."""
    with running_engine(model) as harness:
        with harness.runner.closed():
            harness.engine.submit(request("a", [1], 2))
            harness.runner.wait_held()
            stats = harness.engine.stats()
        assert (stats.running, stats.waiting, stats.pages_used) == (1, 0, 1)
        harness.recorder.wait_ended(["a"])
        harness.assert_settled()


def test_a_common_prompt_of_requests_that_arrive_together_is_computed_once(
    model: PreTrainedModel,
) -> None:
    system = [i % 90 for i in range(100)]
    made = [request(f"r{i}", [*system, i, i + 1], 3) for i in range(50)]
    with running_engine(model, EngineOptions(max_num_batched_tokens=70)) as harness:
        with harness.before_a_step():
            for one in made:
                harness.engine.submit(one)
        harness.recorder.wait_ended([one.id for one in made])
        stats = harness.engine.stats()
        admitted = [e for one in made for e in harness.recorder.events[one.id]]
    assert stats.prompt_tokens == 1 + 100 + 50 * 2
    assert stats.prefix_cache_hits == 49 * 100
    cached = [e.cached_tokens for e in admitted if isinstance(e, Admitted)]
    assert cached == [0, *(100 for _ in range(49))]


def test_a_preempted_embedding_starts_over(model: PreTrainedModel) -> None:
    uninterrupted = request("uninterrupted", range(36), embed=Pooling.MEAN)
    options = EngineOptions(pages=22, max_num_seqs=4, max_num_batched_tokens=6)
    with running_engine(model, options) as harness:
        harness.engine.submit(uninterrupted)
        harness.recorder.wait_ended(["uninterrupted"])
        with harness.before_a_step():
            harness.engine.submit(request("grows", range(90, 94), 20))
            harness.engine.submit(request("shares", range(40, 80), 20))
            harness.engine.submit(replace(uninterrupted, id="preempted"))
        harness.recorder.wait_ended(["grows", "shares", "preempted"])
        assert harness.scheduler.num_preemptions > 0
        harness.assert_settled()
        first, second = (harness.recorder.events[i][-1] for i in ("uninterrupted", "preempted"))
    assert isinstance(first, Embedded)
    assert isinstance(second, Embedded)
    assert second.vector == pytest.approx(first.vector, abs=1e-5)
