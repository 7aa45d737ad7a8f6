"""Greedy output equals transformers' own generate, token for token, with each forward pass."""

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
    generate,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.random_configs import NAMES, random_config

TOYS = Path(__file__).parents[3] / "models" / "toy"
EOS = 5
TOKENS = 24
LARGE_PAGE = 256
"""That of FlashAttention; the prompts of the other tests are shorter."""


@pytest.fixture(params=(*NAMES, "toy-5m"), scope="module")
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Return every shape of attention at random weights, and the deepest trained model."""
    name: str = request.param
    if name in NAMES:
        return random_model(random_config(name))
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(TOYS / name, dtype=torch.float32)
    loaded.eval()  # type: ignore[no-untyped-call]
    return loaded


@pytest.fixture(params=["transformers", "compiled", "paged"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    """Return a pool of 2,048 tokens, in the pages of each forward pass."""
    if request.param == "transformers":
        return EngineOptions(pages=512, page_size=4)
    if request.param == "compiled":
        require_kernels()
        return EngineOptions(pages=128, page_size=16, compiled=True)
    return EngineOptions(pages=128, page_size=16, device=ReferenceDevice(16))


def with_tokens(options: EngineOptions, tokens: int) -> EngineOptions:
    """Change the size of the pool."""
    return replace(options, pages=tokens // options.page_size)


def prompts(model: PreTrainedModel, count: int) -> list[list[int]]:
    rng = random.Random(7)
    return [
        [rng.randrange(model.config.vocab_size) for _ in range(rng.choice((1, 2, 5, 17, 40, 75)))]
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def expected(model: PreTrainedModel) -> list[tuple[list[int], list[int]]]:
    """Prompts of mixed lengths with transformers' output."""
    return [(p, generate(model, p, TOKENS, EOS)) for p in prompts(model, 32)]


def run(
    model: PreTrainedModel,
    cases: Sequence[tuple[list[int], list[int]]],
    options: EngineOptions,
    preempts: bool = False,
) -> None:
    requests = [request(f"r{i}", prompt, TOKENS, stop=[EOS]) for i, (prompt, _) in enumerate(cases)]
    with running_engine(pooled(model), options) as harness:
        answers = harness.run(requests)
        assert harness.scheduler.pages.num_free == options.pages
        assert bool(harness.scheduler.num_preemptions) is preempts
    assert [answers[r.id] for r in requests] == [answer for _, answer in cases]


Expected = list[tuple[list[int], list[int]]]


def test_single_requests(
    model: PreTrainedModel, expected: Expected, options: EngineOptions
) -> None:
    with running_engine(pooled(model), options) as harness:
        for i, (prompt, answer) in enumerate(expected[:6]):
            assert harness.run([request(f"r{i}", prompt, TOKENS, stop=[EOS])]) == {f"r{i}": answer}


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_in_a_batch_of_32_with_chunked_prefill(
    model: PreTrainedModel, expected: Expected, options: EngineOptions, chunk: int
) -> None:
    run(model, expected, with_tokens(replace(options, chunk=chunk), 4096))


def test_with_preemption_in_a_small_pool(
    model: PreTrainedModel, expected: Expected, options: EngineOptions
) -> None:
    run(model, expected, with_tokens(options, 112), preempts=True)


@pytest.fixture(scope="module")
def conversations(model: PreTrainedModel) -> Expected:
    """Prompts with common prefixes, some of them with a reply of the model, and their output."""
    rng = random.Random(8)
    prefixes = [prompts(model, 1)[0] + [rng.randrange(90) for _ in range(n)] for n in (0, 30, 61)]
    made = []
    for _ in range(8):
        prompt = rng.choice(prefixes) + [rng.randrange(90) for _ in range(rng.choice((1, 4, 20)))]
        answer = generate(model, prompt, TOKENS, EOS)
        turn = [*prompt, *answer, rng.randrange(90)]
        made += [(prompt, answer), (turn, generate(model, turn, TOKENS, EOS))]
    return made


@pytest.mark.parametrize(
    ("tokens", "chunk", "preempts"), [(2048, None, False), (2048, 7, False), (208, None, True)]
)
def test_with_common_prefixes(
    model: PreTrainedModel,
    conversations: Expected,
    options: EngineOptions,
    tokens: int,
    chunk: int | None,
    preempts: bool,
) -> None:
    options = with_tokens(replace(options, chunk=chunk), tokens)
    run(model, conversations, options, preempts)
    first, second = conversations[::2], conversations[1::2]
    with running_engine(pooled(model), options) as harness:
        for turn, cases in enumerate((first, second)):
            made = [request(f"{turn}/{i}", p, TOKENS, stop=[EOS]) for i, (p, _) in enumerate(cases)]
            assert list(harness.run(made).values()) == [answer for _, answer in cases]
        assert harness.scheduler.prefix_cache.hits > 0
        harness.assert_settled()


def test_after_another_request_is_cancelled(
    model: PreTrainedModel, expected: Expected, options: EngineOptions
) -> None:
    (prompt, answer), (other_prompt, other_answer), (doomed, _) = expected[:3]
    with running_engine(pooled(model), options) as harness:
        harness.engine.submit(request("doomed", doomed, 200))
        harness.engine.submit(request("a", prompt, TOKENS, stop=[EOS]))
        harness.recorder.wait(lambda: len(harness.recorder.events["doomed"]) > 3)
        harness.engine.cancel("doomed")
        harness.engine.submit(request("b", other_prompt, TOKENS, stop=[EOS]))
        harness.recorder.wait_ended(["doomed", "a", "b"])
        assert harness.recorder.tokens("a") == answer
        assert harness.recorder.tokens("b") == other_answer
        assert harness.scheduler.pages.num_free == harness.scheduler.pages.total


def test_short_and_long_prompts_in_large_pages(model: PreTrainedModel, expected: Expected) -> None:
    rng = random.Random(9)
    prefix = [rng.randrange(90) for _ in range(LARGE_PAGE + 1)]
    lengths = (LARGE_PAGE - 1 - TOKENS // 2, LARGE_PAGE, 2 * LARGE_PAGE - 1)
    cases = [[rng.randrange(90) for _ in range(length)] for length in lengths]
    cases += [[*prefix, 1], [*prefix, 2]]
    answered = [(prompt, generate(model, prompt, TOKENS, EOS)) for prompt in cases]
    device = ReferenceDevice(LARGE_PAGE)
    options = EngineOptions(20, LARGE_PAGE, max_num_seqs=32, chunk=200, device=device)
    run(model, [*expected[:8], *answered], options)
    assert device.replayed > 0
