"""Pooled attention equals plain attention over each sequence."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel, Qwen2Config

from inference.engine.engines import (
    EngineOptions,
    generate,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.engine.forwards.reference_device import reference_varlen_attn
from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.forwards.attention import StepKV, pooled_attention
from sizeup_inference.engine.forwards.gathered_attention import (
    GatheredKV,
    _attend,
    _attend_folded,
    _causal_mask,
)
from sizeup_inference.engine.forwards.step_inputs import StepInputs, exact_shape, pack
from sizeup_inference.engine.forwards.varlen_attention import VarlenKV
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout
from sizeup_inference.engine.model_runner import make_batch
from sizeup_inference.engine.scheduling.scheduler import Chunk
from sizeup_inference.engine.scheduling.sequence import SequenceState

torch.set_num_threads(1)

CPU = torch.device("cpu")
HEADS, KV_HEADS, HEAD_DIM, PAGE_SIZE = 4, 2, 8, 4
WINDOW = 8
EOS = 5


@pytest.mark.parametrize(
    ("length", "kv_length", "window", "rows"),
    [
        (1, 3, None, ["111"]),
        (3, 3, None, ["100", "110", "111"]),
        (2, 4, None, ["1110", "1111"]),
        (3, 3, 1, ["100", "010", "001"]),
        (3, 3, 2, ["100", "110", "011"]),
        (2, 5, 3, ["01110", "00111"]),
        (2, 2, 9, ["10", "11"]),
    ],
)
def test_queries_attend_to_their_own_sequence(
    length: int, kv_length: int, window: int | None, rows: list[str]
) -> None:
    mask = _causal_mask(length, kv_length, window, CPU)
    assert ["".join(str(int(cell)) for cell in row) for row in mask.tolist()] == rows


@pytest.mark.parametrize("length", [1, 5])
def test_folded_heads_are_grouped_heads(length: int) -> None:
    generator = torch.Generator().manual_seed(2)
    query, keys, values = (
        torch.randn(1, n, heads, HEAD_DIM, generator=generator).transpose(1, 2)
        for n, heads in ((length, 6), (9, 2), (9, 2))
    )
    mask = _causal_mask(length, 9, None, CPU)
    grouped = scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, scale=0.3, enable_gqa=True
    )
    folded = _attend_folded(query, keys, values, mask, 0.3)
    torch.testing.assert_close(folded, grouped)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize(("length", "kv_length"), [(1, 9), (4, 9), (9, 9)])
def test_off_the_cpu_masks_are_not_combined_with_grouped_heads(
    length: int, kv_length: int, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Combined they leave only the math kernel, which materialises all scores."""
    calls: list[tuple[bool, bool]] = []

    def recorded(
        query: torch.Tensor,
        _keys: torch.Tensor,
        _values: torch.Tensor,
        *,
        attn_mask: torch.Tensor | None = None,
        enable_gqa: bool = False,
        **_: Any,
    ) -> torch.Tensor:
        calls.append((attn_mask is not None, enable_gqa))
        return query

    monkeypatch.setattr(
        "sizeup_inference.engine.forwards.gathered_attention.scaled_dot_product_attention", recorded
    )
    query = torch.empty(1, HEADS, length, HEAD_DIM, device="meta")
    keys = torch.empty(1, KV_HEADS, kv_length, HEAD_DIM, device="meta")
    assert _attend(query, keys, keys, None, window).shape == query.shape
    assert len(calls) == 1
    assert calls[0] != (True, True)


MakeKV = Callable[[KVPool, Batch], StepKV]


def gathered(pool: KVPool, batch: Batch) -> StepKV:
    return GatheredKV(pool, batch.spans)


def varlen(pool: KVPool, batch: Batch) -> StepKV:
    shape = exact_shape(batch)
    packed = torch.tensor(pack(batch, shape, pool), dtype=torch.int32)
    return VarlenKV(pool, StepInputs(shape, packed), reference_varlen_attn)


@pytest.fixture(params=[gathered, varlen])
def make_kv(request: pytest.FixtureRequest) -> MakeKV:
    made: MakeKV = request.param
    return made


class Layer:
    """One attention layer over a pool, with the keys and values of every sequence."""

    def __init__(self, window: int | None, make_kv: MakeKV) -> None:
        self.make_kv = make_kv
        layout = PoolLayout(60, PAGE_SIZE, KV_HEADS, HEAD_DIM)
        self.pool = KVPool(layout, torch.float32, [CPU], padding_pages=1)
        self.window = window
        self.module = torch.nn.Module()
        self.module.layer_idx = 0  # type: ignore[assignment]
        self.generator = torch.Generator().manual_seed(1)
        self.keys: dict[SequenceState, torch.Tensor] = {}
        self.values: dict[SequenceState, torch.Tensor] = {}

    def run(self, chunks: list[Chunk]) -> None:
        """Run chunks in one step and compare each with attention over its sequence."""
        tokens = sum(c.length for c in chunks)
        query, key, value = (self.random(h, tokens) for h in (HEADS, KV_HEADS, KV_HEADS))
        output = self.attend(chunks, query, key, value)
        row = 0
        for chunk in chunks:
            rows = slice(row, row + chunk.length)
            self.store(chunk.sequence, key[:, :, rows], value[:, :, rows])
            expected = self.plain(chunk, query[:, :, rows])
            torch.testing.assert_close(output[:, rows], expected, atol=1e-5, rtol=1e-5)
            chunk.sequence.num_computed = chunk.end
            row += chunk.length

    def attend(
        self, chunks: list[Chunk], query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        batch, _ = make_batch(chunks, PAGE_SIZE, {})
        step_kv = self.make_kv(self.pool, batch)
        step_kv.update(key, value, 0)
        output, _ = pooled_attention(
            self.module, query, key, value, None, step_kv=step_kv, sliding_window=self.window
        )
        return output

    def random(self, heads: int, tokens: int) -> torch.Tensor:
        return torch.randn(1, heads, tokens, HEAD_DIM, generator=self.generator)

    def store(self, owner: SequenceState, key: torch.Tensor, value: torch.Tensor) -> None:
        for store, new in ((self.keys, key), (self.values, value)):
            store[owner] = torch.cat([store[owner], new], 2) if owner in store else new

    def plain(self, chunk: Chunk, query: torch.Tensor) -> torch.Tensor:
        keys, values = self.keys[chunk.sequence], self.values[chunk.sequence]
        queries = torch.arange(chunk.start, chunk.end)[:, None]
        distance = queries - torch.arange(chunk.end)[None, :]
        mask = (distance >= 0) & (distance < (self.window or chunk.end + 1))
        repeats = HEADS // KV_HEADS
        keys, values = (t.repeat_interleave(repeats, 1) for t in (keys, values))
        return scaled_dot_product_attention(query, keys, values, attn_mask=mask).transpose(1, 2)


def sequence(name: str, tokens: int, pages: list[int]) -> SequenceState:
    made = SequenceState(request(name, range(tokens)), 0)
    made.block_table = pages
    return made


@pytest.mark.parametrize("window", [None, 1, 5, WINDOW, 100])
def test_mixed_steps_are_attention_over_each_sequence_alone(
    window: int | None, make_kv: MakeKV
) -> None:
    layer = Layer(window, make_kv)
    free = list(range(60))
    random.Random(4).shuffle(free)
    sequences = [sequence(f"r{i}", 30, [free.pop(0) for _ in range(8)]) for i in range(5)]
    # Decodes first, as scheduled.
    for lengths in ((7, 1, 3, 5, 2), (1, 1, 1, 9, 4), (1, 1, 6, 1, 1), (1, 1, 1, 1, 1)):
        layer.run([Chunk(s, s.num_computed, n) for s, n in zip(sequences, lengths, strict=True)])


def test_nan_in_one_sequence_does_not_affect_another(make_kv: MakeKV) -> None:
    """Freed pages keep their content."""
    layer = Layer(window=None, make_kv=make_kv)
    for tensor in (*layer.pool.keys, *layer.pool.values):
        tensor.fill_(math.nan)
    broken, whole = sequence("a", 20, [0, 1]), sequence("b", 20, [5, 6])
    layer.run([Chunk(whole, 0, 6)])
    query = layer.random(HEADS, 2)
    key, value = layer.random(KV_HEADS, 2), layer.random(KV_HEADS, 2)
    layer.store(whole, key[:, :, 1:], value[:, :, 1:])
    output = layer.attend([Chunk(broken, 6, 1), Chunk(whole, 6, 1)], query, key, value)
    expected = layer.plain(Chunk(whole, 6, 1), query[:, :, 1:])
    torch.testing.assert_close(output[:, 1:], expected, atol=1e-5, rtol=1e-5)


def sliding_config(first_sliding_layer: int, **changes: Any) -> Qwen2Config:
    shape: dict[str, Any] = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 256,
    }
    return Qwen2Config(
        **(shape | changes),
        use_sliding_window=True,
        sliding_window=WINDOW,
        max_window_layers=first_sliding_layer,
    )


def prompts() -> list[list[int]]:
    rng = random.Random(3)
    return [[rng.randrange(97) for _ in range(n)] for n in (1, 3, 7, 8, 9, 20, 45)]


@pytest.fixture(params=[0, 1], scope="module")
def sliding(request: pytest.FixtureRequest) -> tuple[PreTrainedModel, list[list[int]]]:
    """A model with a sliding window from the first or second layer on, and generate's output."""
    model = random_model(sliding_config(request.param))
    assert "sliding_attention" in model.config.layer_types
    return model, [generate(model, p, 20, EOS) for p in prompts()]


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions(),
        EngineOptions(chunk=3),
        EngineOptions(chunk=13, pages=40),
    ],
)
def test_a_sliding_window_equals_generate(
    sliding: tuple[PreTrainedModel, list[list[int]]], options: EngineOptions
) -> None:
    model, expected = sliding
    requests = [request(f"r{i}", p, 20, stop=[EOS]) for i, p in enumerate(prompts())]
    with running_engine(pooled(model), options) as harness:
        assert list(harness.run(requests).values()) == expected


def test_the_sliding_window_changes_the_output() -> None:
    sliding, full = sliding_config(0), sliding_config(3)
    assert full.layer_types == ["full_attention"] * 3
    prompt = prompts()[-1]
    answers = [generate(random_model(config), prompt, 20, EOS) for config in (sliding, full)]
    assert answers[0] != answers[1]
