"""Compiled decoders over scattered pages whose memory is NaN before its first use."""

import contextlib
import math
import random
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from inference.engine.engines import random_model
from inference.engine.random_configs import random_config
from sizeup_inference.engine.forward import Batch, Forwarded
from sizeup_inference.engine.kernels.architectures import unsupported_reason
from sizeup_inference.engine.kernels.decoder import PAGE_SIZE, CompiledDecoder
from sizeup_inference.engine.kernels.library import Level
from sizeup_inference.engine.kernels.quantize import quantizer
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout, Span
from sizeup_inference.engine.loading.quantize_model import quantize_model
from sizeup_inference.engine.quantization.formats import Format

PAGES = 64
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_model(name: str, dtype: torch.dtype) -> PreTrainedModel:
    """Make the model of a shape: the same weights every time, rounded to the dtype."""
    model = random_model(random_config(name))
    model.to(dtype=dtype)  # type: ignore[call-arg]
    return model


def quantized(model: PreTrainedModel, form: Format) -> PreTrainedModel:
    """Quantize a model in place."""
    with quantizer(threads=1) as run:
        quantize_model(model, form, run)
    return model


@contextlib.contextmanager
def compiled(
    model: PreTrainedModel, threads: int = 2, level: Level | None = None
) -> Iterator[CompiledDecoder]:
    """Pack a model, which is unusable afterwards."""
    assert unsupported_reason(model) is None
    config = model.config
    layout = PoolLayout(PAGES, PAGE_SIZE, config.num_key_value_heads, config.head_dim)
    pool = KVPool(layout, model.dtype, [torch.device("cpu")] * config.num_hidden_layers)
    for layer in (*pool.keys, *pool.values):
        layer.fill_(math.nan)
    decoder = CompiledDecoder(model, pool, threads, level)
    try:
        yield decoder
    finally:
        decoder.close()


class Prompt:
    """A prompt, its pages, and how many of its tokens are computed."""

    def __init__(self, ids: Sequence[int], pages: Sequence[int]) -> None:
        self.ids, self.pages, self.computed = list(ids), tuple(pages), 0

    def next_span(self, row: int, chunk: int) -> tuple[Span, list[int]]:
        """Advance by a chunk; return its span and tokens."""
        start, self.computed = self.computed, min(self.computed + chunk, len(self.ids))
        table = self.pages[: -(-self.computed // PAGE_SIZE)]
        return Span(row, self.computed - start, self.computed, table), self.ids[
            start : self.computed
        ]


def scattered(prompts: Sequence[Sequence[int]], seed: int = 1) -> list[Prompt]:
    """Give prompts pages in random order."""
    free = list(range(PAGES))
    random.Random(seed).shuffle(free)
    placed = []
    for ids in prompts:
        pages = -(-len(ids) // PAGE_SIZE)
        placed.append(Prompt(ids, free[:pages]))
        del free[:pages]
    return placed


def run_chunks(
    decoder: CompiledDecoder, prompts: Sequence[Prompt], chunk: int
) -> tuple[Forwarded, list[Prompt]]:
    """Run the next chunk of each unfinished prompt in one step; return these, one sample each."""
    running = [p for p in prompts if p.computed < len(p.ids)]
    ids: list[int] = []
    spans: list[Span] = []
    samples: list[int] = []
    for prompt in running:
        span, tokens = prompt.next_span(len(ids), chunk)
        ids += tokens
        spans.append(span)
        samples.append(len(ids) - 1)
    batch = Batch(ids, tuple(spans), samples, [True] * len(samples), wants_hidden=True)
    return decoder.run(batch), running


def last_logits(
    decoder: CompiledDecoder, prompts: Sequence[Prompt], chunk: int = 1000
) -> torch.Tensor:
    """Compute prompts to their ends; return float32[prompts, vocab_size] of their last tokens."""
    logits: dict[Prompt, torch.Tensor] = {}
    while any(p.computed < len(p.ids) for p in prompts):
        result, running = run_chunks(decoder, prompts, chunk)
        assert list(result.best) == result.logits.argmax(-1).tolist()
        logits |= zip(running, result.logits.clone(), strict=True)
    return torch.stack([logits[prompt] for prompt in prompts])
