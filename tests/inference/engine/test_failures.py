"""Failed steps fail their requests; a dead engine fails all. No request ends twice."""

import math
import random
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import (
    DEADLINE_SECONDS,
    EngineOptions,
    Harness,
    request,
    running_engine,
)
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.small_model import VOCABULARY, small_pooled_model
from sizeup_inference.engine.model_runner import StepOutput
from sizeup_inference.engine.protocol import (
    Admitted,
    EngineDeadError,
    EngineRequest,
    Failed,
    Pooling,
    PromptLogprobs,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.scheduling.sequence import SequenceState

torch.set_num_threads(1)

LONG = 400
"""Output tokens of a request that outlasts its test."""


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


def test_two_consecutive_failures_do_not_end_the_engine(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        for i in range(5):
            harness.runner.failures = 2
            for name in (f"bad{i}", f"worse{i}"):
                harness.engine.submit(request(name, [1], 5))
                harness.recorder.wait_ended([name])
            assert len(harness.run([request(f"good{i}", [1], 3)])[f"good{i}"]) == 3


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_running_out_of_memory_fails_the_requests_of_the_step_only(
    model: PreTrainedModel, error: type[Exception]
) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1)) as harness:
        harness.runner.failure = error()
        harness.runner.failures = 5
        with harness.runner.closed():
            for name in "abcdef":
                harness.engine.submit(request(name, [1], 5))
        harness.recorder.wait_ended("abcdef")
        for name in "abcde":
            assert isinstance(harness.recorder.events[name][-1], Failed)
        assert len(harness.recorder.tokens("f")) == 5
        harness.assert_settled()


def test_three_consecutive_failed_steps_end_the_engine(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1)) as harness:
        harness.runner.failures = 3
        with harness.runner.closed():
            for name in "abcde":
                harness.engine.submit(request(name, [1], 5))
        harness.recorder.wait_ended("abcde")
        harness.engine.close(DEADLINE_SECONDS)
        for name in "abcde":
            assert [type(e) for e in harness.recorder.events[name]][-1] is Failed
            assert harness.recorder.ended(name) == 1
        assert not harness.engine.is_alive()
        with pytest.raises(EngineDeadError):
            harness.engine.submit(request("f", [1], 5))
        harness.engine.cancel("a")
        assert harness.recorder.ended("a") == 1


def test_close_fails_running_and_waiting_requests(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1)) as harness:
        harness.engine.submit(request("running", [1], LONG))
        harness.engine.submit(request("waiting", [1], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["running"]) > 2)
        harness.engine.close(DEADLINE_SECONDS)
        for name in ("running", "waiting"):
            assert isinstance(harness.recorder.events[name][-1], Failed)
            assert harness.recorder.ended(name) == 1
        with pytest.raises(EngineDeadError):
            harness.engine.submit(request("late", [1]))


def test_abandoning_fails_requests_while_a_step_is_blocked(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1)) as harness:
        with harness.runner.closed():
            harness.engine.submit(request("running", [1], 5))
            harness.engine.submit(request("waiting", [1], 5))
            harness.runner.wait_held()
            harness.engine.abandon("reason")
            harness.recorder.wait_ended(["running", "waiting"])
            assert not harness.engine.is_alive()
            with pytest.raises(EngineDeadError):
                harness.engine.submit(request("late", [1]))
        harness.engine.close(DEADLINE_SECONDS)  # after the step that was blocked
        for name in ("running", "waiting"):
            assert [type(e) for e in harness.recorder.events[name]] == [Failed]


def test_abandoning_ends_an_engine_without_work(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.run([request("a", [1], 2)])
        harness.engine.abandon("reason")
        assert not harness.engine.is_alive()
        assert harness.recorder.ended("a") == 1


def random_request(rng: random.Random, name: str) -> EngineRequest:
    prompt = [rng.randrange(VOCABULARY) for _ in range(rng.randint(1, 30))]
    sampling = SamplingParams(temperature=rng.choice((0, 1)), seed=1)
    stop = range(10) if rng.random() < 0.5 else ()
    if rng.random() < 0.15:
        return request(name, prompt, embed=Pooling.MEAN)
    tokens, choices = rng.randint(1, 30), rng.choice((1, 1, 1, 3))
    made = request(name, prompt, tokens, sampling, stop=stop, choices=choices)
    return replace(made, prompt_logprobs=rng.choice((None, 1)))


@pytest.mark.parametrize("device", [None, ReferenceDevice(4)])
def test_every_choice_ends_exactly_once_under_a_random_mix(
    model: PreTrainedModel, device: ReferenceDevice | None
) -> None:
    options = EngineOptions(40, max_num_seqs=12, max_waiting=500, chunk=9, device=device)
    rng = random.Random(2)
    made = [random_request(rng, f"r{i}") for i in range(120)]
    with running_engine(model, options) as harness:
        for i, one in enumerate(made):
            harness.engine.submit(one)
            if rng.random() < 0.25:
                harness.engine.cancel(f"r{rng.randint(0, i)}")
            if i in (30, 90):
                harness.runner.failures = 1
        harness.engine.submit(request("last", [1], 1))
        harness.recorder.wait(lambda: harness.engine.is_idle())
        harness.recorder.wait(lambda: all(finished_once(harness, one) for one in made))
        harness.assert_settled()
        assert harness.scheduler.num_preemptions > 0


def finished_once(harness: Harness, made: EngineRequest) -> bool:
    """Return whether a request ended in one event, or one per choice, with none after it.

    Its prompt log-probabilities came before its tokens, in order and once.
    """
    events = harness.recorder.events[made.id]
    ends = [e for e in events if not isinstance(e, Admitted | PromptLogprobs | Token)]
    delivered = [e for e in events if isinstance(e, PromptLogprobs)]
    assert all(isinstance(e, PromptLogprobs) for e in events[1 : 1 + len(delivered)])
    length = 0
    for piece in delivered:
        assert piece.start == length + 1
        length += len(piece.logprobs)
    if ends:
        return len(ends) == 1 and events[-1] is ends[0]
    tokens = [e for e in events if isinstance(e, Token)]
    assert not tokens or length == (made.prompt_logprobs is not None) * (len(made.prompt_ids) - 1)
    return sorted(t.choice for t in tokens if t.finish) == list(range(made.choices))


def test_a_failed_step_fails_only_its_own_requests(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=2)) as harness:
        expected = harness.run([request("alone", [1, 2], 5)])["alone"]
        with harness.before_a_step():
            harness.runner.failures = 1
            for name in "abc":
                harness.engine.submit(request(name, [1, 2], 5))
        harness.recorder.wait_ended("abc")
        for name in "ab":
            assert [type(e) for e in harness.recorder.events[name]] == [Admitted, Failed]
        assert harness.recorder.tokens("c") == expected
        assert harness.engine.is_alive()
        harness.assert_settled()


def test_nan_logits_fail_only_their_own_request(model: PreTrainedModel) -> None:
    infinite = SamplingParams(temperature=1, top_p=0.9, logit_bias={5: math.inf}, seed=1)
    with running_engine(model) as harness:
        expected = harness.run([request("alone", [1, 2], 20)])["alone"]
        with harness.before_a_step():
            for i in range(4):
                harness.engine.submit(request(f"bad{i}", range(40), 20, infinite, choices=2))
            harness.engine.submit(request("good", [1, 2], 20))
        bad = [f"bad{i}" for i in range(4)]
        harness.recorder.wait_ended(["good", *bad])
        assert harness.recorder.tokens("good") == expected
        for name in bad:
            assert isinstance(harness.recorder.events[name][-1], Failed)
            assert harness.recorder.ended(name) == 1
        assert harness.engine.is_alive()
        harness.assert_settled()


def test_pages_of_nan_logits_are_not_used_again(model: PreTrainedModel) -> None:
    prompt = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]

    def poison(output: StepOutput) -> StepOutput:
        for layer in (*harness.pool.keys, *harness.pool.values):
            layer.fill_(math.nan)
        return replace(output, best=dict.fromkeys(output.best, -1))

    with running_engine(model) as harness:
        harness.runner.alter = poison
        harness.engine.submit(request("bad", prompt, 5))
        harness.recorder.wait_ended(["bad"])
        assert isinstance(harness.recorder.events["bad"][-1], Failed)
        harness.runner.alter = lambda output: output
        assert len(harness.run([request("good", prompt, 5)])["good"]) == 5
        assert harness.engine.stats().prefix_cache_hits == 0


class Unreadable(dict[SequenceState, torch.Tensor]):
    """Hidden sums that raise when they are read, which is after the step's tokens were sampled."""

    def __contains__(self, _: object) -> bool:
        raise RuntimeError("injected failure")


def test_a_request_that_finished_in_a_failing_step_ends_once(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        failing = [Unreadable()]

        def fail_late(output: StepOutput) -> StepOutput:
            fails = failing and len(output.best) == 2
            return replace(output, hidden_sums=failing.pop()) if fails else output

        with harness.before_a_step():
            harness.engine.submit(request("ends", [1], 1))
            harness.engine.submit(request("continues", [1], 9))
            harness.runner.alter = fail_late
        harness.recorder.wait_ended(["ends", "continues"])
        assert [type(e) for e in harness.recorder.events["ends"]] == [Admitted, Token]
        assert [type(e) for e in harness.recorder.events["continues"]] == [Admitted, Token, Failed]
        harness.assert_settled()
