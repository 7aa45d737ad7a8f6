"""The compiled decoder is used where it can be and computes the same; transformers elsewhere."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import torch
from transformers import PreTrainedModel, Qwen2ForCausalLM

from inference.engine.built_kernels import require_kernels
from inference.engine.engines import pooled, random_model
from inference.engine.random_configs import random_config
from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.kernels.decoder import PAGE_SIZE as COMPILED_PAGE_SIZE
from sizeup_inference.engine.kernels.decoder import CompiledDecoder
from sizeup_inference.engine.kernels.library import Level, load_library
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.loading.make_forward import (
    ForwardOptions,
    LoadedForward,
    make_forward,
    step_threads,
)
from sizeup_inference.engine.loading.memory import PAGE_SIZE, PoolOptions
from sizeup_inference.engine.quantization.formats import Format

OPTIONS = ForwardOptions(PoolOptions(sequences=10, max_model_len=100), 1, 8)
PROMPT = [1, 2, 3, 4, 5]
Alter = Callable[[PreTrainedModel], PreTrainedModel]


class Make(Protocol):
    """Makes the forward pass of a model; returns it, and how often the model was loaded."""

    def __call__(
        self, alter: Alter, options: ForwardOptions = OPTIONS
    ) -> tuple[LoadedForward, int]: ...


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[LoadedForward] = []

    def make(alter: Alter, options: ForwardOptions = OPTIONS) -> tuple[LoadedForward, int]:
        loads = 0

        def load() -> PreTrainedModel:
            nonlocal loads
            loads += 1
            return alter(pooled(random_model(random_config("qwen2-gqa7-untied"))))

        made.append(make_forward(load, options))
        return made[-1], loads

    yield make
    for loaded in made:
        if isinstance(loaded.forward, CompiledDecoder):
            loaded.forward.close()


def last_logits(forward: ForwardPass) -> torch.Tensor:
    span = Span(0, len(PROMPT), len(PROMPT), (0,))
    return forward.run(Batch(PROMPT, (span,), (4,), (True,), wants_hidden=False)).logits


def expected_logits(alter: Alter) -> torch.Tensor:
    model = alter(random_model(random_config("qwen2-gqa7-untied")))
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([PROMPT])).logits[0, -1:].float()
    return logits


def unaltered(model: PreTrainedModel) -> PreTrainedModel:
    return model


def in_bfloat16(model: PreTrainedModel) -> PreTrainedModel:
    converted: PreTrainedModel = model.bfloat16()
    return converted


@pytest.mark.parametrize("alter", [unaltered, in_bfloat16])
def test_a_known_model_is_compiled(make: Make, alter: Alter) -> None:
    require_kernels()
    made, loads = make(alter)
    assert isinstance(made.forward, CompiledDecoder)
    assert loads == 1
    assert made.kernels in {level.name.lower() for level in Level}
    assert made.forward.pool.layout.page_size == COMPILED_PAGE_SIZE
    expected = expected_logits(alter)
    assert (last_logits(made.forward) - expected).norm() < 0.03 * expected.norm()


def sharp_in_bfloat16(model: PreTrainedModel) -> PreTrainedModel:
    """Make attention so sharp that bfloat16 rounds the result by 14 %."""
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.data *= 30
    return in_bfloat16(model)


def test_where_bfloat16_rounds_more_the_result_in_float32_decides(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    require_kernels()
    made, loads = make(sharp_in_bfloat16)
    assert isinstance(made.forward, CompiledDecoder)
    assert loads == 2
    assert [r for r in caplog.records if r.levelno == logging.ERROR] == []


def doubled_in_bfloat16(model: PreTrainedModel) -> PreTrainedModel:
    return doubled(sharp_in_bfloat16(model))


def test_a_wrong_result_is_no_rounding(make: Make) -> None:
    require_kernels()
    assert make(doubled_in_bfloat16)[0].kernels == "transformers"


def in_float16(model: PreTrainedModel) -> PreTrainedModel:
    converted: PreTrainedModel = model.half()  # type: ignore[no-untyped-call]
    return converted


class Derived(Qwen2ForCausalLM):  # type: ignore[no-untyped-call]
    """A class that the compiled decoder does not know."""


def derived(model: PreTrainedModel) -> PreTrainedModel:
    model.__class__ = Derived
    return model


@pytest.mark.parametrize(
    ("alter", "options"),
    [
        (in_float16, OPTIONS),
        (derived, OPTIONS),
        (unaltered, replace(OPTIONS, compiled=False)),
    ],
)
def test_other_models_run_on_transformers(
    make: Make, alter: Alter, options: ForwardOptions
) -> None:
    made, loads = make(alter, options)
    assert (made.kernels, loads) == ("transformers", 1)
    assert made.forward.pool.layout.page_size == PAGE_SIZE
    torch.testing.assert_close(
        last_logits(made.forward), expected_logits(alter), atol=0.1, rtol=0.05
    )


def test_without_the_library_models_run_on_transformers(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = load_library(tmp_path / "absent.so")
    monkeypatch.setattr("sizeup_inference.engine.loading.make_forward.load_library", lambda: absent)
    assert make(unaltered)[0].kernels == "transformers"


def doubled(model: PreTrainedModel) -> PreTrainedModel:
    """Alter what a model computes without changing its class, config or weights."""
    layer = model.model.layers[1].mlp
    layer.register_forward_hook(lambda _module, _input, output: 2 * output)
    return model


def test_a_model_that_computes_something_else_runs_on_transformers(
    make: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    require_kernels()
    made, loads = make(doubled)
    assert (made.kernels, loads) == ("transformers", 2)
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == ["kernels.unused"]
    torch.testing.assert_close(
        last_logits(made.forward), expected_logits(doubled), atol=1e-3, rtol=1e-3
    )


class Bounded(CompiledDecoder):
    """A decoder whose steps stay within the pool."""

    def run(self, batch: Batch) -> Forwarded:
        for span in batch.spans:
            used = span.block_table[: -(-span.kv_length // self.pool.layout.page_size)]
            assert max(used) < self.pool.layout.pages
        return super().run(batch)


class OtherHidden(CompiledDecoder):
    """A decoder whose embeddings would be wrong."""

    def run(self, batch: Batch) -> Forwarded:
        result = super().run(batch)
        return replace(result, hidden=None if result.hidden is None else 2 * result.hidden)


def test_hidden_states_are_compared(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    require_kernels()
    monkeypatch.setattr("sizeup_inference.engine.loading.make_forward.CompiledDecoder", OtherHidden)
    made, _ = make(unaltered)
    assert made.kernels == "transformers"
    assert "hidden states" in made.fast_paths[0].reason


@pytest.mark.parametrize("pages", [1, 2, 3, 4])
def test_the_trial_fits_a_small_pool(
    make: Make, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_kernels()
    monkeypatch.setattr("sizeup_inference.engine.loading.make_forward.CompiledDecoder", Bounded)
    pool = PoolOptions(sequences=1, max_model_len=pages * COMPILED_PAGE_SIZE)
    made, _ = make(unaltered, replace(OPTIONS, pool=pool))
    assert isinstance(made.forward, Bounded)
    assert made.forward.pool.layout.pages == pages


def test_facts_are_those_of_the_model_before_packing(make: Make) -> None:
    model = random_model(random_config("qwen2-gqa7-untied"))
    made, _ = make(unaltered)
    weights = sum(p.nbytes for p in model.parameters())
    assert weights <= made.memory_bytes < weights + 1000
    assert (made.dtype, made.device_bytes, made.threads) == (torch.float32, 0, 1)
    assert made.config.num_hidden_layers == 2


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("form", Format)
def test_weights_are_quantized_on_every_path(make: Make, form: Format, compiled: bool) -> None:
    if compiled:
        require_kernels()
    plain, _ = make(unaltered, replace(OPTIONS, compiled=compiled))
    made, loads = make(unaltered, replace(OPTIONS, compiled=compiled, quantization=form))
    assert isinstance(made.forward, CompiledDecoder) is compiled
    assert loads == 1
    assert made.memory_bytes < plain.memory_bytes * (0.3 if form is Format.INT8 else 0.25)
    expected = expected_logits(unaltered)
    error = (last_logits(made.forward) - expected).norm() / expected.norm()
    assert error < (0.06 if form is Format.INT8 else 0.6)


def test_a_quantized_model_that_computes_something_else_is_quantized_again(make: Make) -> None:
    require_kernels()
    made, loads = make(doubled, replace(OPTIONS, quantization=Format.INT8))
    assert (made.kernels, loads) == ("transformers", 2)
    expected = expected_logits(doubled)
    assert (last_logits(made.forward) - expected).norm() < 0.06 * expected.norm()


def test_small_models_use_one_thread_and_others_every_core(make: Make) -> None:
    assert step_threads(5_000_000, 8) == 1
    assert step_threads(464_000_000, 8) == 8
    assert make(unaltered, replace(OPTIONS, threads=None))[0].threads == 1
    assert make(unaltered, replace(OPTIONS, threads=3))[0].threads == 3
