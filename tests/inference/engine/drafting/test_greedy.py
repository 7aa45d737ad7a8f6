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
from inference.engine.forwards.reference_device import ReferenceDevice
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


@pytest.fixture(params=["transformers", "compiled", "paged"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    """Return a pool of 4,096 tokens, in the pages of each forward pass."""
    if request.param == "transformers":
        return EngineOptions(pages=1024, page_size=4)
    if request.param == "paged":
        return EngineOptions(pages=256, page_size=16, device=ReferenceDevice(16))
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


def test_with_preemption_in_a_small_pool(
    models: tuple[PreTrainedModel, PreTrainedModel], options: EngineOptions
) -> None:
    model, draft = map(pooled, models)
    size = models[0].config.vocab_size
    prompts = [[(31 * i + 7 * j) % size for j in range(20)] for i in range(4)]
    expected = [generate(models[0], prompt, TOKENS, eos=size) for prompt in prompts]
    # Two prompts of 20 tokens and a page fit, and not what follows them.
    options = replace(options, pages=80 // options.page_size)
    with running_engine(model, options, draft) as harness:
        with harness.before_a_step():
            for i, prompt in enumerate(prompts):
                harness.engine.submit(request(f"r{i}", prompt, TOKENS))
        harness.recorder.wait_ended([f"r{i}" for i in range(len(prompts))])
        assert [harness.recorder.tokens(f"r{i}") for i in range(len(prompts))] == expected
        assert harness.scheduler.num_preemptions > 0
        harness.assert_settled()


@pytest.mark.parametrize("chunk", [None, 7])
def test_with_common_prefixes(
    models: tuple[PreTrainedModel, PreTrainedModel],
    cases: list[Case],
    options: EngineOptions,
    chunk: int | None,
) -> None:
    model, draft = map(pooled, models)
    turns = [[*prompt, *answer, 7] for prompt, answer in cases[:6]]
    with running_engine(model, replace(options, chunk=chunk), draft) as harness:
        run(harness, cases[:6], "first")
        run(harness, [(turn, generate(models[0], turn, TOKENS, EOS)) for turn in turns], "second")
        assert harness.scheduler.prefix_cache.hits > 0


def test_after_another_request_is_cancelled(
    models: tuple[PreTrainedModel, PreTrainedModel], cases: list[Case], options: EngineOptions
) -> None:
    (doomed, _), *others = cases[:3]
    model, draft = map(pooled, models)
    with running_engine(model, options, draft) as harness:
        harness.engine.submit(request("doomed", doomed, 200))
        harness.recorder.wait(lambda: len(harness.recorder.events["doomed"]) > 3)
        requests = [request(f"r{i}", p, TOKENS, stop=[EOS]) for i, (p, _) in enumerate(others)]
        harness.engine.submit(requests[0])
        harness.engine.cancel("doomed")
        harness.engine.submit(requests[1])
        harness.recorder.wait_ended(["doomed", "r0", "r1"])
        for made, (_, answer) in zip(requests, others, strict=True):
            assert harness.recorder.tokens(made.id) == answer
        harness.assert_settled()
