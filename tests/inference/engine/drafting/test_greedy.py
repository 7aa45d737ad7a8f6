"""With a draft model, greedy output equals transformers' own generate, token for token."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference.engine.built_kernels import require_kernels
from inference.engine.engines import (
    EngineOptions,
    Harness,
    generate,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.engine.random_configs import random_config

TOYS = Path(__file__).parents[4] / "models" / "toy"
EOS = 5
TOKENS = 24
VOCABULARY = 97

Case = tuple[list[int], list[int]]
"""A prompt and transformers' output."""


def toy(name: str) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(TOYS / name, dtype=torch.float32)
    loaded.eval()  # type: ignore[no-untyped-call]
    return loaded


def _pair(name: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    if name == "toy":
        return toy("toy-5m"), toy("toy-0.5m")
    model = random_model(random_config("qwen2-gqa7-untied"))
    if name == "same":
        return model, model
    return model, random_model(random_config("qwen3-gqa4-tied"), seed=1)


@pytest.fixture(params=["same", "unrelated", "toy"], scope="module")
def models(request: pytest.FixtureRequest) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return a model and a draft model: itself, one that guesses wrong, one of the toy ladder."""
    return _pair(request.param)


@pytest.fixture(params=["transformers", "compiled"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    """Return a pool of 4,096 tokens, in the pages of each forward pass."""
    if request.param == "transformers":
        return EngineOptions(pages=1024, page_size=4)
    require_kernels()
    return EngineOptions(pages=256, page_size=16, compiled=True)


@pytest.fixture(scope="module")
def cases(models: tuple[PreTrainedModel, PreTrainedModel]) -> list[Case]:
    rng = random.Random(7)
    size = models[0].config.vocab_size
    prompts = [
        [rng.randrange(size) for _ in range(rng.choice((1, 2, 5, 17, 40, 75)))] for _ in range(16)
    ]
    return [(p, generate(models[0], p, TOKENS, EOS)) for p in prompts]


def run(harness: Harness, cases: Sequence[Case], name: str = "r") -> None:
    requests = [request(f"{name}{i}", p, TOKENS, stop=[EOS]) for i, (p, _) in enumerate(cases)]
    answers = harness.run(requests)
    assert [answers[r.id] for r in requests] == [answer for _, answer in cases]
    harness.assert_settled()


@pytest.mark.parametrize(("chunk", "tokens"), [(None, 4), (7, 1)])
def test_alone_and_in_a_batch(
    models: tuple[PreTrainedModel, PreTrainedModel],
    cases: list[Case],
    options: EngineOptions,
    chunk: int | None,
    tokens: int,
) -> None:
    model, draft = map(pooled, models)
    with running_engine(
        model, replace(options, chunk=chunk, draft_tokens=tokens), draft
    ) as harness:
        run(harness, cases[:1], "alone")
        run(harness, cases)
        stats = harness.engine.stats()
        assert stats.draft_tokens > 0
        if models[0] is models[1]:
            assert stats.draft_accepted_tokens >= 0.95 * stats.draft_tokens
        assert stats.draft_accepted_tokens <= stats.draft_tokens
