"""Greedy output equals transformers' own generate, token for token."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from inference.engine.engines import (
    EngineOptions,
    generate,
    pooled,
    random_model,
    request,
    running_engine,
)

TOYS = Path(__file__).parents[3] / "models" / "toy"
VOCABULARY = 97
EOS = 5
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "max_position_embeddings": 512,
    "use_sliding_window": False,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "qwen2-mha-tied": Qwen2Config(
        **SHAPE, num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True
    ),
    "qwen2-gqa-untied": Qwen2Config(
        **SHAPE, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False
    ),
    "qwen3-gqa-tied": Qwen3Config(
        **SHAPE, num_attention_heads=4, num_key_value_heads=1, head_dim=16, tie_word_embeddings=True
    ),
    "qwen3-gqa-untied": Qwen3Config(
        **SHAPE, num_attention_heads=4, num_key_value_heads=2, head_dim=8, tie_word_embeddings=False
    ),
}
NAMES = (*CONFIGS, "toy-5m")
"""Every shape of attention at random weights, and the deepest trained model."""
TOKENS = 24


@pytest.fixture(params=NAMES, scope="module")
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    name: str = request.param
    if name in CONFIGS:
        return random_model(CONFIGS[name])
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(TOYS / name, dtype=torch.float32)
    loaded.eval()  # type: ignore[no-untyped-call]
    return loaded


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


def test_single_requests(model: PreTrainedModel, expected: Expected) -> None:
    with running_engine(pooled(model)) as harness:
        for i, (prompt, answer) in enumerate(expected[:6]):
            assert harness.run([request(f"r{i}", prompt, TOKENS, stop=[EOS])]) == {f"r{i}": answer}


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_in_a_batch_of_32_with_chunked_prefill(
    model: PreTrainedModel, expected: Expected, chunk: int
) -> None:
    run(model, expected, EngineOptions(chunk=chunk, pages=1024))


def test_with_preemption_in_a_small_pool(model: PreTrainedModel, expected: Expected) -> None:
    run(model, expected, EngineOptions(pages=40), preempts=True)


@pytest.fixture(scope="module")
def conversations(model: PreTrainedModel) -> Expected:
    """Prompts with common prefixes, some of them with a reply of the model, and their output."""
    rng = random.Random(8)
    prefixes = [prompts(model, 1)[0] + [rng.randrange(90) for _ in range(n)] for n in (0, 30, 61)]
    made = []
    for _ in range(12):
        prompt = rng.choice(prefixes) + [rng.randrange(90) for _ in range(rng.choice((1, 4, 20)))]
        answer = generate(model, prompt, TOKENS, EOS)
        turn = [*prompt, *answer, rng.randrange(90)]
        made += [(prompt, answer), (turn, generate(model, turn, TOKENS, EOS))]
    return made


@pytest.mark.parametrize(
    ("options", "preempts"),
    [(EngineOptions(), False), (EngineOptions(chunk=7), False), (EngineOptions(pages=60), True)],
)
def test_with_common_prefixes(
    model: PreTrainedModel, conversations: Expected, options: EngineOptions, preempts: bool
) -> None:
    run(model, conversations, options, preempts)
    first, second = conversations[::2], conversations[1::2]
    with running_engine(pooled(model), options) as harness:
        for turn, cases in enumerate((first, second)):
            made = [request(f"{turn}/{i}", p, TOKENS, stop=[EOS]) for i, (p, _) in enumerate(cases)]
            assert list(harness.run(made).values()) == [answer for _, answer in cases]
        assert harness.scheduler.prefix_cache.hits > 0
        harness.assert_settled()


def test_after_another_request_is_cancelled(model: PreTrainedModel, expected: Expected) -> None:
    (prompt, answer), (other_prompt, other_answer), (doomed, _) = expected[:3]
    with running_engine(pooled(model)) as harness:
        harness.engine.submit(request("doomed", doomed, 200))
        harness.engine.submit(request("a", prompt, TOKENS, stop=[EOS]))
        harness.recorder.wait(lambda: len(harness.recorder.events["doomed"]) > 3)
        harness.engine.cancel("doomed")
        harness.engine.submit(request("b", other_prompt, TOKENS, stop=[EOS]))
        harness.recorder.wait_ended(["doomed", "a", "b"])
        assert harness.recorder.tokens("a") == answer
        assert harness.recorder.tokens("b") == other_answer
        assert harness.scheduler.pages.num_free == harness.scheduler.pages.total
