"""A model on two ranks computes what it computes in one process, in half the memory each."""

from array import array
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen3MoeConfig

from inference.engine.engines import on_ranks, pooled, random_model
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.random_configs import DIVISIBLE, random_config
from sizeup_inference.engine.forward import Batch, Draw, Forwarded, ForwardPass
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.loading.make_forward import ForwardOptions
from sizeup_inference.engine.loading.memory import PoolOptions, make_pool
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel.load_parallel import load_on
from sizeup_inference.engine.parallel.ranks import Ranks

PROMPTS = ([3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1])
SPANS = (Span(0, 8, 8, (1,)), Span(8, 3, 3, (0,)))
IDS = [*PROMPTS[0], *PROMPTS[1]]
TOKENS = 64

UNEVEN = Qwen2Config(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=49,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
EXPERTS = Qwen3MoeConfig(  # type: ignore[call-arg]  # head_dim
    vocab_size=97,
    hidden_size=64,
    moe_intermediate_size=48,
    num_experts=4,
    num_experts_per_tok=2,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
)
MODELS = {name: random_config(name) for name in DIVISIBLE} | {"uneven": UNEVEN, "experts": EXPERTS}


@pytest.fixture(params=MODELS, scope="module")
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return random_model(MODELS[request.param])


@pytest.fixture(scope="module")
def alone(model: PreTrainedModel) -> ForwardPass:
    """The same model in this process."""
    copied = pooled(model)
    return TransformersForward(copied, make_pool(copied, PoolOptions(1, TOKENS), 16))


@pytest.fixture(scope="module")
def divided(model: PreTrainedModel, two_ranks: Ranks) -> ForwardPass:
    return on_ranks(two_ranks, pooled(model), PoolOptions(1, TOKENS)).forward


def both(alone: ForwardPass, divided: ForwardPass, batch: Batch) -> tuple[Forwarded, Forwarded]:
    return alone.run(batch), divided.run(batch)


def batch(wants: tuple[bool, bool], masks: Mapping[int, "array[int]"]) -> Batch:
    return Batch(IDS, SPANS, (7, 10), wants, wants_hidden=True, masks=masks)


def test_logits_hidden_states_and_best_tokens_are_the_same(
    alone: ForwardPass, divided: ForwardPass
) -> None:
    expected, actual = both(alone, divided, batch((True, False), {}))
    assert list(actual.best) == list(expected.best)
    torch.testing.assert_close(actual.logits, expected.logits, atol=1e-4, rtol=1e-4)
    assert actual.hidden is not None
    torch.testing.assert_close(actual.hidden, expected.hidden, atol=1e-4, rtol=1e-4)
    rows = actual.hidden[2:9]  # of prompt log-probabilities
    torch.testing.assert_close(
        divided.logits(rows), alone.logits(rows.clone()), atol=1e-4, rtol=1e-4
    )


def test_keys_of_earlier_steps_and_masks_count(alone: ForwardPass, divided: ForwardPass) -> None:
    both(alone, divided, batch((False, False), {}))
    spans = (Span(0, 1, 9, (1,)), Span(1, 1, 4, (0,)))
    allowed = array("i", [0] * 4)
    allowed[1] = 1 << 5  # token 37
    later = Batch([8, 8], spans, (0, 1), (True, False), False, {1: allowed})
    expected, actual = both(alone, divided, later)
    assert actual.best[1] == 37
    torch.testing.assert_close(actual.logits, expected.logits, atol=1e-4, rtol=1e-4)


def test_memory_is_that_of_both_ranks(two_ranks: Ranks) -> None:
    model = random_model(random_config("qwen2-gqa7-untied"))
    loaded = on_ranks(two_ranks, pooled(model), PoolOptions(1, TOKENS))
    weights = sum(p.nbytes for p in model.parameters())
    norms = sum(p.nbytes for name, p in model.named_parameters() if "norm" in name)
    assert weights + norms <= loaded.memory_bytes < weights + norms + 4000  # and buffers, padding
    assert loaded.tensor_parallel == 2
    assert loaded.device_bytes == 0
    assert loaded.forward.pool.layout.kv_heads == 1
    assert not any(path.enabled for path in loaded.fast_paths)


def test_fast_paths_of_a_device_are_tried_on_all_ranks(two_ranks: Ranks) -> None:
    model = pooled(random_model(random_config("qwen3-gqa2-untied")))
    loaded = on_ranks(two_ranks, model, PoolOptions(2, 64), paged=True)
    enabled = {path.name for path in loaded.fast_paths if path.enabled}
    assert enabled == {"varlen_attention", "cuda_graphs", "device_sampling", "run_ahead"}
    assert loaded.forward.is_asynchronous
    assert loaded.forward.draws


def test_a_fast_path_that_one_rank_cannot_use_is_used_by_none(
    two_ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 0's draws are wrong; the other rank's are not."""
    make_paged = "sizeup_inference.engine.loading.make_paged"
    monkeypatch.setattr(f"{make_paged}.draws_differ", lambda _logits: "injected")
    model = pooled(random_model(random_config("qwen3-gqa2-untied")))
    loaded = on_ranks(two_ranks, model, PoolOptions(2, 64), paged=True)
    reasons = {path.name: path.reason for path in loaded.fast_paths if not path.enabled}
    assert reasons["device_sampling"] == "injected"
    assert not loaded.forward.draws
    batch = Batch([1], (Span(0, 1, 1, (0,)),), (0,), (True,), wants_hidden=False)
    assert loaded.forward.run(batch).logits.shape == (1, model.config.vocab_size)


def test_bfloat16(two_ranks: Ranks, tmp_path: Path) -> None:
    model = random_model(random_config("qwen3-gqa4-tied"))
    model.save_pretrained(tmp_path)
    load = LoadOptions(tmp_path, "cpu", "bfloat16", tensor_parallel=2)
    options = ForwardOptions(PoolOptions(1, TOKENS), 1, 1, compiled=False)
    actual = load_on(two_ranks, load, options).forward.run(batch((True, True), {})).logits
    with torch.inference_mode():
        expected = model(torch.tensor([PROMPTS[0]])).logits[0, -1]
    assert (actual[0] - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize(("kv_cache_bytes", "pages"), [(12_000, 1), (4 * 8_192, 4)])
def test_a_given_size_of_the_kv_cache_is_that_of_both_ranks(
    two_ranks: Ranks, tmp_path: Path, kv_cache_bytes: int, pages: int
) -> None:
    """8,192 bytes a page: 16 tokens, 2 layers, keys and values, 2 KV heads of 32, 2 bytes."""
    random_model(random_config("qwen2-gqa7-untied")).save_pretrained(tmp_path)
    load = LoadOptions(tmp_path, "cpu", "bfloat16", tensor_parallel=2)
    options = ForwardOptions(PoolOptions(1, 10_000, kv_cache_bytes), 1, 1, compiled=False)
    assert load_on(two_ranks, load, options).forward.pool.layout.pages == pages


def test_ranks_have_the_pages_of_the_one_with_the_least_memory(
    two_ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 0 believes in a thousand times the memory, which the other rank does not have."""
    memory = "sizeup_inference.engine.loading.memory"
    model = pooled(random_model(UNEVEN))
    plenty = 10**9  # tokens
    alike = on_ranks(two_ranks, model, PoolOptions(1, plenty)).forward.pool.layout.pages
    monkeypatch.setattr(f"{memory}._CPU_KV_SHARE", 200.0)
    assert on_ranks(two_ranks, model, PoolOptions(1, plenty)).forward.pool.layout.pages < 2 * alike


def test_drawn_tokens_of_a_step_launched_ahead_are_those_of_one_process(two_ranks: Ranks) -> None:
    model = random_model(random_config("qwen3-gqa2-untied"))
    forward = on_ranks(two_ranks, pooled(model), PoolOptions(2, 64), paged=True).forward
    assert forward.is_asynchronous
    copied = pooled(model)
    pool = make_pool(copied, PoolOptions(2, 64), 16, padding_pages=1)
    alone = PagedForward(copied, pool, ReferenceDevice(16))
    draws = {0: Draw(0.9, 0, 0.95, 0.0, 0.7)}
    prompt, following = (Span(0, 3, 3, (2,)),), (Span(0, 1, 4, (2,)),)
    first = Batch([5, 6, 7], prompt, (2,), (False,), wants_hidden=False, draws=draws)
    ahead = Batch([0], following, (0,), (False,), False, draws=draws, ids_from=[0])
    launched = forward.launch(first)
    after = forward.launch(ahead, launched)
    tokens = [*launched.result().best, *after.result().best]
    (token,) = alone.run(first).best
    (then,) = alone.run(Batch([token], following, (0,), (False,), False, draws=draws)).best
    assert tokens == [token, then]
