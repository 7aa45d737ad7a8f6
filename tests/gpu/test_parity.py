"""Greedy output of the engine on a GPU: each token is the best one of transformers' own model.

In float32 the tokens are those of generate. In 16 bits they are compared one by one, given the
tokens before: the best logit exceeds that of the engine's token by rounding at most.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import Recorder, generate, pooled, random_model, request
from inference.engine.random_configs import NAMES, random_config
from sizeup_inference.engine.loading.make_forward import (
    ForwardOptions,
    LoadedForward,
    make_forward,
)
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.model_runner import ModelRunner
from sizeup_inference.engine.protocol import EngineRequest, SamplingParams
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.scheduler import Scheduler, SchedulerConfig
from sizeup_inference.engine.thread import EngineThread

pytestmark = pytest.mark.gpu

TOKENS, SEQUENCES, CONTEXT = 40, 32, 1000
NO_TOKEN = 1_000_000
"""In place of an end-of-sequence token."""
ROUNDING = {torch.bfloat16: 0.05, torch.float16: 0.01}
"""Of the largest logit."""


@dataclass(frozen=True)
class Served:
    """An engine on the GPU."""

    engine: EngineThread
    recorder: Recorder
    loaded: LoadedForward

    def run(self, requests: Sequence[EngineRequest]) -> list[list[int]]:
        for one in requests:
            self.engine.submit(one)
        self.recorder.wait_ended([one.id for one in requests])
        return [self.recorder.tokens(one.id) for one in requests]


@contextmanager
def served(model: PreTrainedModel) -> Iterator[Served]:
    options = ForwardOptions(PoolOptions(SEQUENCES, CONTEXT), 1, 1)
    loaded = make_forward(lambda: pooled(model), options)
    layout = loaded.forward.pool.layout
    scheduler = Scheduler(
        SchedulerConfig(SEQUENCES, 512, layout.page_size, 100), PageAllocator(layout.pages)
    )
    recorder = Recorder()
    runner = ModelRunner(loaded.forward)
    engine = EngineThread(runner, scheduler, recorder, max_waiting=SEQUENCES, threads=1)
    try:
        yield Served(engine, recorder, loaded)
    finally:
        engine.close(60)


def on_gpu(name: str, dtype: torch.dtype) -> PreTrainedModel:
    model = random_model(random_config(name))
    torch.nn.Module.to(model, "cuda", dtype)
    return model


def prompts(seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    lengths = [rng.choice((1, 2, 17, 75, 255, 256, 257, 600)) for _ in range(SEQUENCES)]
    return [[rng.randrange(90) for _ in range(length)] for length in lengths]


def lost(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> float:
    """Return by how much of the largest logit the worst token of an answer is not the best."""
    ids = torch.tensor([[*prompt, *answer]], device="cuda")
    with torch.inference_mode():
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float()
    chosen = logits.gather(-1, torch.tensor(answer, device="cuda")[:, None])[:, 0]
    return float(((logits.amax(-1) - chosen) / logits.abs().amax(-1)).max())


@pytest.mark.parametrize("name", NAMES)
def test_in_float32_tokens_are_those_of_generate(name: str) -> None:
    model = on_gpu(name, torch.float32)
    cases = prompts(1)
    with served(model) as plain:
        assert plain.loaded.kernels == "transformers"
        made = [request(f"r{i}", prompt, TOKENS) for i, prompt in enumerate(cases)]
        answers = plain.run(made)
    assert answers == [generate(model, p, TOKENS, NO_TOKEN) for p in cases]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ROUNDING)
def test_in_16_bits_tokens_are_the_best_within_rounding(name: str, dtype: torch.dtype) -> None:
    model = on_gpu(name, dtype)
    cases = prompts(2)
    with served(model) as paged:
        disabled = {p.name: p.reason for p in paged.loaded.fast_paths if not p.enabled}
        assert disabled.keys() == {"compiled_decoder"}, disabled
        made = [request(f"r{i}", prompt, TOKENS) for i, prompt in enumerate(cases)]
        answers = paged.run(made)
    assert all(len(answer) == TOKENS for answer in answers)
    assert max(lost(model, p, a) for p, a in zip(cases, answers, strict=True)) < ROUNDING[dtype]


def test_seeded_requests_repeat_their_output() -> None:
    model = on_gpu("qwen2-gqa7-untied", torch.bfloat16)
    params = SamplingParams(temperature=0.8, top_k=20, top_p=0.9, seed=7)
    with served(model) as paged:
        first, second = (
            paged.run([request(name, [1, 2, 3], TOKENS, params)]) for name in ("a", "b")
        )
    assert first == second
