"""Constrained requests through the engine."""

from array import array
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.built_kernels import require_kernels
from inference.engine.constraints import Only
from inference.engine.engines import (
    GREEDY,
    EngineOptions,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.engine.random_configs import NAMES, random_config
from inference.small_model import VOCABULARY, small_model, small_pooled_model
from sizeup_inference.engine.protocol import Failed, SamplingParams

TOKENS = 12
EVEN = range(0, VOCABULARY, 2)
SAMPLED = SamplingParams(temperature=1.0, seed=5)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED, replace(GREEDY, repetition_penalty=1.2)])
def test_a_constrained_request_and_its_neighbours(compiled: bool, sampling: SamplingParams) -> None:
    options = EngineOptions(compiled=compiled, page_size=16 if compiled else 4)
    free = [request(f"free {i}", [i + 1, 5], TOKENS, sampling) for i in range(3)]
    bound = request("bound", [3, 5], TOKENS, sampling, constraint=Only(EVEN, VOCABULARY))
    if compiled:
        require_kernels()
    with running_engine(pooled(random_model(random_config(NAMES[0]))), options) as harness:
        alone = harness.run(free)
        with harness.before_a_step():
            for each in (*free, bound):
                harness.engine.submit(replace(each, id=f"{each.id} together"))
        harness.recorder.wait_ended([f"{each.id} together" for each in (*free, bound)])
        for each in free:
            assert harness.recorder.tokens(f"{each.id} together") == alone[each.id]
        tokens = harness.recorder.tokens("bound together")
    assert len(tokens) == TOKENS
    assert set(tokens) <= set(EVEN)


def test_the_most_likely_allowed_token_is_taken(model: PreTrainedModel) -> None:
    with torch.inference_mode():
        logits = small_model()(torch.tensor([[3, 5]])).logits[0, -1]
    best = max(EVEN, key=lambda i: float(logits[i]))
    with running_engine(model) as harness:
        bound = request("bound", [3, 5], 1, GREEDY, constraint=Only(EVEN, VOCABULARY))
        assert harness.run([bound]) == {"bound": [best]}


def test_a_constraint_sees_every_token_once_whatever_is_preempted(model: PreTrainedModel) -> None:
    constraints = [Only(EVEN, VOCABULARY) for _ in range(3)]
    batch = [
        request(f"r{i}", [i + 1] * 8, 20, GREEDY, constraint=each)
        for i, each in enumerate(constraints)
    ]
    with running_engine(model, EngineOptions(pages=14)) as harness:
        tokens = harness.run(batch)
        assert harness.engine.stats().preemptions
    assert [each.accepted for each in constraints] == list(tokens.values())


def test_a_constraint_that_fails_ends_its_request_only(model: PreTrainedModel) -> None:
    bound = request("bound", [3, 5], TOKENS, GREEDY, constraint=Only(EVEN, VOCABULARY, limit=4))
    free = request("free", [4, 5], TOKENS, GREEDY)
    with running_engine(model) as harness:
        with harness.before_a_step():
            harness.engine.submit(bound)
            harness.engine.submit(free)
        harness.recorder.wait_ended(["bound", "free"])
        (failed,) = [e for e in harness.recorder.events["bound"] if isinstance(e, Failed)]
        assert failed.is_invalid
        assert len(harness.recorder.tokens("free")) == TOKENS
        harness.assert_settled()


def test_a_constraint_that_allows_nothing_fails_its_request(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.engine.submit(
            request("bound", [3, 5], TOKENS, GREEDY, constraint=Only((), VOCABULARY))
        )
        harness.recorder.wait_ended(["bound"])
        assert isinstance(harness.recorder.events["bound"][-1], Failed)


class Faulty(Only):
    """A constraint with an error of its own."""

    def mask(self) -> "array[int]":
        raise RuntimeError("a fault of the compiler")


def test_an_error_of_a_constraint_fails_the_step_only() -> None:
    with running_engine(small_pooled_model()) as harness:
        faulty = request("faulty", [1], 5, constraint=Faulty([1], VOCABULARY))
        harness.engine.submit(faulty)
        harness.recorder.wait_ended(["faulty"])
        assert isinstance(harness.recorder.events["faulty"][-1], Failed)
        assert len(harness.run([request("next", [1], 5)])["next"]) == 5
        harness.assert_settled()
