"""Embeddings equal those of transformers' own modules, by each pooling and each forward pass."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

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
from inference.engine.random_configs import VOCABULARY, random_config
from sizeup_inference.engine.protocol import Admitted, Embedded, Pooling

torch.set_num_threads(1)

EOS = 5
_POOLED: Mapping[Pooling, Callable[[torch.Tensor], torch.Tensor]] = {
    Pooling.MEAN: lambda hidden: hidden.mean(0),
    Pooling.LAST: lambda hidden: hidden[-1],
    Pooling.CLS: lambda hidden: hidden[0],
}


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return random_model(random_config("qwen3-gqa4-tied"))


@pytest.fixture(params=["transformers", "compiled"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    """Return a pool of 1,024 tokens, in the pages of each forward pass."""
    if request.param == "transformers":
        return EngineOptions(pages=256, page_size=4)
    require_kernels()
    return EngineOptions(pages=64, page_size=16, compiled=True)


def expected(model: PreTrainedModel, prompt: Sequence[int], pooling: Pooling) -> torch.Tensor:
    with torch.inference_mode():
        states = model.get_decoder()(torch.tensor([list(prompt)])).last_hidden_state  # type: ignore[no-untyped-call]
    return _POOLED[pooling](states[0])


def same(embedded: object, vector: torch.Tensor) -> None:
    assert isinstance(embedded, Embedded)
    torch.testing.assert_close(torch.tensor(embedded.vector), vector, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("chunk", [None, 7])
@pytest.mark.parametrize("pooling", Pooling)
def test_in_a_batch_with_running_generations(
    model: PreTrainedModel, options: EngineOptions, pooling: Pooling, chunk: int | None
) -> None:
    rng = random.Random(3)
    prompts = [[rng.randrange(VOCABULARY) for _ in range(n)] for n in (1, 2, 16, 17, 40, 75, 90)]
    chats = {f"chat {i}": prompt[:9] for i, prompt in enumerate(prompts)}
    with running_engine(pooled(model), replace(options, chunk=chunk)) as harness:
        with harness.before_a_step():
            for name, prompt in chats.items():
                harness.engine.submit(request(name, prompt, 12, stop=[EOS]))
            for i, prompt in enumerate(prompts):
                harness.engine.submit(request(f"r{i}", prompt, embed=pooling))
        harness.recorder.wait_ended([*chats, *(f"r{i}" for i in range(len(prompts)))])
        for i, prompt in enumerate(prompts):
            same(harness.recorder.events[f"r{i}"][-1], expected(model, prompt, pooling))
        for name, prompt in chats.items():
            assert harness.recorder.tokens(name) == generate(model, prompt, 12, EOS)
        harness.assert_settled()


def embed_after(
    harness: Harness, chat: Sequence[int], prompt: Sequence[int], pooling: Pooling
) -> tuple[int, object]:
    """Embed a prompt after a chat; return how many of its tokens were cached, and the vector."""
    harness.run([request("chat", chat, 2)])
    harness.engine.submit(request("a", prompt, embed=pooling))
    harness.recorder.wait_ended(["a"])
    admitted, embedded = harness.recorder.events["a"]
    assert isinstance(admitted, Admitted)
    return admitted.cached_tokens, embedded


@pytest.mark.parametrize(("pooling", "cached"), [(Pooling.LAST, 48), (Pooling.MEAN, 0)])
def test_only_the_last_token_can_be_pooled_after_a_cached_prefix(
    model: PreTrainedModel, options: EngineOptions, pooling: Pooling, cached: int
) -> None:
    shared = [i % 90 for i in range(48)]
    prompt = [*shared, 7, 8]
    with running_engine(pooled(model), options) as harness:
        found, embedded = embed_after(harness, [*shared, 3], prompt, pooling)
        assert found == cached
        same(embedded, expected(model, prompt, pooling))
        # what it leaves in the cache is right for a chat
        assert harness.run([request("later", prompt, 9, stop=[EOS])]) == {
            "later": generate(model, prompt, 9, EOS)
        }
