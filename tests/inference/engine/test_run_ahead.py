"""A step that is launched before the tokens of the one before it are known changes no output."""

import random

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.constraints import Only
from inference.engine.engines import EngineOptions, Harness, request, running_engine
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.small_model import VOCABULARY, small_pooled_model
from sizeup_inference.engine.protocol import (
    Cancelled,
    EngineRequest,
    Failed,
    Finish,
    SamplingParams,
    Token,
)

torch.set_num_threads(1)

PAGE_SIZE = 4
LONG = 300


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


def paged(pages: int = 512, max_waiting: int = 64) -> EngineOptions:
    device = ReferenceDevice(PAGE_SIZE)
    return EngineOptions(pages, PAGE_SIZE, max_waiting=max_waiting, device=device)


def requests(count: int, seed: int) -> list[EngineRequest]:
    """Return requests of every kind of sampling, some of which cannot run ahead."""
    rng = random.Random(seed)
    kinds = (
        SamplingParams(temperature=0),
        SamplingParams(temperature=1, seed=seed),
        SamplingParams(temperature=0.8, top_k=9, top_p=0.9, min_p=0.01, seed=seed),
        SamplingParams(temperature=1, seed=seed, presence_penalty=0.5),
        SamplingParams(temperature=0, logprobs=2),
    )
    return [
        request(
            f"r{i}",
            [rng.randrange(VOCABULARY) for _ in range(rng.randint(1, 20))],
            rng.randint(1, 40),
            rng.choice(kinds),
            stop=range(8) if rng.random() < 0.5 else (),
            choices=rng.choice((1, 1, 2)),
        )
        for i in range(count)
    ]


def outputs(harness: Harness, made: list[EngineRequest]) -> list[list[list[int]]]:
    for one in made:
        harness.engine.submit(one)
        harness.recorder.wait_ended([one.id], one.choices)
    harness.assert_settled()
    return [[harness.recorder.tokens(r.id, c) for c in range(r.choices)] for r in made]


def test_outputs_are_those_of_steps_in_turn(model: PreTrainedModel) -> None:
    made = requests(40, seed=1)
    with running_engine(model, EngineOptions(512, PAGE_SIZE)) as harness:
        expected = outputs(harness, made)
        assert harness.runner.ahead == 0
    with running_engine(model, paged()) as harness:
        assert outputs(harness, made) == expected
        assert harness.runner.ahead > 100


def test_a_batch_has_the_outputs_of_single_requests(model: PreTrainedModel) -> None:
    made = requests(40, seed=2)
    with running_engine(model, EngineOptions(512, PAGE_SIZE)) as harness:
        expected = outputs(harness, made)
    with running_engine(model, paged(pages=60, max_waiting=200)) as harness:
        for one in made:
            harness.engine.submit(one)
        for one in made:
            harness.recorder.wait_ended([one.id], one.choices)
        harness.assert_settled()
        actual = [[harness.recorder.tokens(r.id, c) for c in range(r.choices)] for r in made]
    assert actual == expected


def test_the_step_after_a_stop_token_is_dropped(model: PreTrainedModel) -> None:
    with running_engine(model, paged()) as harness:
        everything = harness.run([request("a", [1], LONG)])["a"]
        stop = everything[10]
        steps = harness.engine.stats().steps
        stopped = harness.run([request("b", [1], LONG, stop=[stop])])["b"]
        assert stopped == everything[: everything.index(stop) + 1]
        last = harness.recorder.events["b"][-1]
        assert isinstance(last, Token)
        assert last.finish is Finish.STOP
        assert harness.engine.stats().steps == steps + len(stopped)
        harness.assert_settled()


def test_no_step_is_launched_after_the_last_token(model: PreTrainedModel) -> None:
    with running_engine(model, paged()) as harness:
        harness.run([request("a", [1], 5)])
        assert harness.runner.launched == 5
        assert harness.runner.ahead == 4


def test_a_constrained_sequence_waits_for_its_tokens(model: PreTrainedModel) -> None:
    with running_engine(model, paged()) as harness:
        constraint = Only([3], VOCABULARY)
        assert harness.run([request("a", [1], 5, constraint=constraint)])["a"] == [3] * 5
        assert harness.runner.ahead == 0


def test_a_request_cancelled_while_the_next_step_runs_ends_once(model: PreTrainedModel) -> None:
    with running_engine(model, paged()) as harness:
        for name in "ab":
            harness.engine.submit(request(name, [1], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["a"]) > 5)
        harness.engine.cancel("a")
        harness.recorder.wait_ended("ab")
        assert isinstance(harness.recorder.events["a"][-1], Cancelled)
        assert len(harness.recorder.tokens("b")) == LONG
        harness.assert_settled()
        assert harness.runner.ahead > 0


def test_a_new_request_is_admitted_while_others_run_ahead(model: PreTrainedModel) -> None:
    with running_engine(model, paged()) as harness:
        alone = harness.run([request("alone", [9, 8], 20)])["alone"]
        harness.engine.submit(request("long", [1], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["long"]) > 5)
        assert harness.run([request("new", [9, 8], 20)])["new"] == alone
        assert harness.recorder.ended("long") == 0
        harness.engine.cancel("long")
        harness.recorder.wait_ended(["long"])
        harness.assert_settled()


def test_a_failed_step_fails_its_requests_and_the_next_ones_succeed(
    model: PreTrainedModel,
) -> None:
    with running_engine(model, paged()) as harness:
        harness.engine.submit(request("a", [1], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["a"]) > 5)
        harness.runner.failures = 1
        harness.recorder.wait_ended("a")
        assert isinstance(harness.recorder.events["a"][-1], Failed)
        assert harness.recorder.ended("a") == 1
        assert len(harness.run([request("b", [1], 5)])["b"]) == 5
        harness.assert_settled()
