"""Sampling through the engine: seeds, choices, penalties and batch composition."""

import copy
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import (
    GREEDY,
    EngineOptions,
    pooled,
    request,
    running_engine,
)
from inference.small_model import VOCABULARY, small_model
from sizeup_inference.engine.protocol import EngineRequest, SamplingParams, Token

torch.set_num_threads(1)

TOKENS = 20
SEEDED = SamplingParams(temperature=0.9, top_k=40, top_p=0.95, min_p=0.01, seed=11)
PLAIN = SamplingParams(temperature=1.0, seed=3)


@pytest.fixture(scope="module")
def plain() -> PreTrainedModel:
    """A model with flat distributions, so that the draw matters."""
    model = small_model()
    with torch.no_grad():
        for parameter in model.get_output_embeddings().parameters():  # type: ignore[no-untyped-call]
            parameter.mul_(0.3)
    return model


@pytest.fixture(scope="module")
def model(plain: PreTrainedModel) -> PreTrainedModel:
    return pooled(copy.deepcopy(plain))  # pooled modifies the config


def prompt(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(VOCABULARY) for _ in range(rng.choice((3, 9, 30)))]


def requests(count: int) -> list[EngineRequest]:
    kinds = (SEEDED, PLAIN, GREEDY, replace(SEEDED, repetition_penalty=1.3, presence_penalty=0.5))
    return [
        request(f"r{i}", prompt(i), TOKENS, replace(kinds[i % 4], seed=100 + i))
        for i in range(count)
    ]


def one_by_one(model: PreTrainedModel, batch: Sequence[EngineRequest]) -> dict[str, list[int]]:
    with running_engine(model) as harness:
        return {r.id: harness.run([r])[r.id] for r in batch}


def answer(model: PreTrainedModel, sampling: SamplingParams, **options: Any) -> list[int]:
    made = request("a", prompt(1), TOKENS, sampling, **options)
    return one_by_one(model, [made])["a"]


def test_a_seeded_request_gives_the_same_tokens_alone_and_in_a_batch_of_32(
    model: PreTrainedModel,
) -> None:
    batch = requests(32)
    with running_engine(model, EngineOptions(pages=1024, chunk=7)) as harness:
        together = harness.run(batch)
    assert together == one_by_one(model, batch)


def test_a_seeded_request_gives_the_same_tokens_after_preemption(model: PreTrainedModel) -> None:
    batch = requests(12)
    with running_engine(model, EngineOptions(pages=40)) as harness:
        together = harness.run(batch)
        assert harness.scheduler.num_preemptions > 0
    assert together == one_by_one(model, batch)


def test_equal_seeds_repeat_and_different_ones_do_not(model: PreTrainedModel) -> None:
    first = answer(model, SEEDED)
    assert answer(model, SEEDED) == first
    assert answer(model, replace(SEEDED, seed=12)) != first


def test_without_a_seed_outputs_differ(model: PreTrainedModel) -> None:
    unseeded = replace(PLAIN, seed=None)
    assert answer(model, unseeded) != answer(model, unseeded)


def test_choices_draw_from_consecutive_seeds(model: PreTrainedModel) -> None:
    made = request("n", prompt(1), TOKENS, SEEDED, choices=4)
    with running_engine(model) as harness:
        harness.engine.submit(made)
        harness.recorder.wait_ended(["n"], choices=4)
        answers = [harness.recorder.tokens("n", choice) for choice in range(4)]
    assert len({tuple(a) for a in answers}) == 4
    assert answers == [answer(model, replace(SEEDED, seed=11 + i)) for i in range(4)]


def test_greedy_and_sampled_requests_are_independent(model: PreTrainedModel) -> None:
    batch = [
        request(f"{kind}{i}", prompt(i), TOKENS, replace(sampling, seed=i))
        for i in range(8)
        for kind, sampling in (("greedy", GREEDY), ("sampled", PLAIN))
    ]
    with running_engine(model) as harness:
        together = harness.run(batch)
    assert together == one_by_one(model, batch)


def generated(plain: PreTrainedModel, **options: Any) -> list[int]:
    ids = torch.tensor([prompt(1)])
    output = plain.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=TOKENS,
        do_sample=False,
        pad_token_id=0,
        **options,
    )
    tokens: list[int] = output[0, ids.shape[1] :].tolist()
    return tokens


def test_greedy_with_a_repetition_penalty_equals_generate(
    plain: PreTrainedModel, model: PreTrainedModel
) -> None:
    for penalty in (0.8, 1.2, 1.8):
        ours = answer(model, replace(GREEDY, repetition_penalty=penalty))
        assert ours == generated(plain, repetition_penalty=penalty)


def test_greedy_with_min_tokens_equals_generate(
    plain: PreTrainedModel, model: PreTrainedModel
) -> None:
    stop = generated(plain)[2]
    theirs = generated(plain, eos_token_id=stop, min_new_tokens=10, repetition_penalty=1.1)
    penalised = replace(GREEDY, repetition_penalty=1.1)
    assert answer(model, penalised, stop=[stop], min_tokens=10) == theirs
    assert len(answer(model, penalised, stop=[stop])) < 10


def test_greedy_with_a_bias_equals_generate(plain: PreTrainedModel, model: PreTrainedModel) -> None:
    bias = {7: 3.0, generated(plain)[0]: -100.0}
    theirs = generated(plain, sequence_bias=[[[i], b] for i, b in bias.items()])
    assert answer(model, replace(GREEDY, logit_bias=bias)) == theirs


def test_a_frequency_penalty_ends_repetition(model: PreTrainedModel) -> None:
    loop = answer(model, replace(GREEDY, logit_bias={7: 50.0}))
    assert loop == [7] * TOKENS
    broken = answer(model, replace(GREEDY, logit_bias={7: 50.0}, frequency_penalty=10.0))
    assert 4 <= broken.count(7) < TOKENS


def test_every_token_carries_its_logprobs(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.run([request("a", prompt(1), TOKENS, replace(GREEDY, logprobs=3))])
        tokens = [e for e in harness.recorder.events["a"] if isinstance(e, Token)]
    assert len(tokens) == TOKENS
    for token in tokens:
        assert token.logprobs is not None
        assert token.logprobs.top[0] == (token.token_id, token.logprobs.chosen)
