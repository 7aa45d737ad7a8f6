"""Fast paths of an accelerator are used where they compute what the plain path does."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from transformers import PreTrainedModel, Qwen2Config

from inference.engine.engines import pooled, random_model
from inference.engine.forwards.reference_device import ReferenceDevice, reference_varlen_attn
from inference.small_model import small_config, small_pooled_model
from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.loading import make_paged as module
from sizeup_inference.engine.loading.make_forward import ForwardOptions, make_forward
from sizeup_inference.engine.loading.make_paged import find_cuda, make_paged
from sizeup_inference.engine.loading.memory import PoolOptions

torch.set_num_threads(1)

T = TypeVar("T")
PAGE_SIZE = 16
OPTIONS = PoolOptions(sequences=6, max_model_len=3 * PAGE_SIZE)
ALL = {"varlen_attention", "cuda_graphs", "device_sampling", "run_ahead"}


def made(
    device: ReferenceDevice, model: PreTrainedModel | None = None, options: PoolOptions = OPTIONS
) -> tuple[ForwardPass, dict[str, str | None]]:
    """Return the forward pass, and by path why it is not enabled."""
    forward, paths = make_paged(model or small_pooled_model(), options, device)
    return forward, {path.name: None if path.enabled else path.reason for path in paths}


def enabled(reasons: dict[str, str | None]) -> set[str]:
    assert reasons.keys() == ALL
    assert all(reasons[name] for name in ALL if reasons[name] is not None)
    return {name for name, reason in reasons.items() if reason is None}


@pytest.mark.parametrize("page_size", [PAGE_SIZE, 256])
def test_paths_that_compute_the_same_are_enabled(page_size: int) -> None:
    device = ReferenceDevice(page_size)
    forward, reasons = made(device)
    assert isinstance(forward, PagedForward)
    assert enabled(reasons) == ALL
    assert forward.draws
    assert forward.pool.layout.page_size == page_size
    assert device.captured > 0
    assert device.replayed > 0


@pytest.mark.parametrize("sequences", [1, 2, 5])
def test_a_small_pool_is_enough_for_the_check(sequences: int) -> None:
    options = PoolOptions(sequences, max_model_len=PAGE_SIZE)
    forward, reasons = made(ReferenceDevice(PAGE_SIZE), options=options)
    assert enabled(reasons) == ALL
    assert forward.pool.layout.pages == sequences


def misaligned(query: torch.Tensor, *args: Any, seqused_k: torch.Tensor, **named: Any) -> Any:
    return reference_varlen_attn(query, *args, seqused_k=(seqused_k - 1).clamp(min=1), **named)


def in_table_order(query: torch.Tensor, *args: Any, block_table: torch.Tensor, **named: Any) -> Any:
    """Read the pages of longer sequences in the wrong order."""
    return reference_varlen_attn(query, *args, block_table=block_table.flip(-1), **named)


def unavailable(*_: Any, **__: Any) -> Any:
    raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")


@pytest.mark.parametrize("attention", [misaligned, in_table_order, unavailable])
def test_an_attention_that_computes_something_else_is_not_used(
    attention: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    device = ReferenceDevice(PAGE_SIZE)
    device.attention = attention
    forward, reasons = made(device)
    assert isinstance(forward, TransformersForward)
    assert enabled(reasons) == set()
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == [
        "fast_path.disabled"
    ]


def in_float32(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **named: Any
) -> Any:
    wide = reference_varlen_attn(query.float(), key.float(), value.float(), *args, **named)
    return wide.to(query.dtype)


def sharp_in_bfloat16() -> PreTrainedModel:
    """Return a model of which bfloat16 rounds the result by 20 %."""
    config = small_config()
    config.num_hidden_layers = 8
    config.layer_types = ["full_attention"] * config.num_hidden_layers
    model = pooled(random_model(config))
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.data *= 10
    torch.nn.Module.to(model, torch.bfloat16)
    return model


@pytest.mark.parametrize(
    ("attention", "is_used"), [(in_float32, True), (misaligned, False), (in_table_order, False)]
)
def test_where_bfloat16_rounds_more_the_result_in_float32_decides(
    attention: Callable[..., Any], is_used: bool
) -> None:
    device = ReferenceDevice(PAGE_SIZE)
    device.attention = attention
    _, reasons = made(device, sharp_in_bfloat16())
    assert enabled(reasons) == (ALL if is_used else set())


class StaleDevice(ReferenceDevice):
    """Its graphs repeat nothing."""

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        return compute(), lambda: None


class UnfinishedDevice(ReferenceDevice):
    """Its copies are read before they have arrived."""

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: torch.zeros_like(tensor)


def test_tokens_are_compared_with_their_logits() -> None:
    forward, reasons = made(UnfinishedDevice(PAGE_SIZE))
    assert isinstance(forward, TransformersForward)
    assert enabled(reasons) == set()


class OutOfMemoryDevice(ReferenceDevice):
    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        if self.captured == 1:
            raise torch.OutOfMemoryError
        return super().capture(compute)


@pytest.mark.parametrize("kind", [StaleDevice, OutOfMemoryDevice])
def test_without_graphs_the_other_paths_are_used(kind: type[ReferenceDevice]) -> None:
    device = kind(PAGE_SIZE)
    forward, reasons = made(device)
    assert isinstance(forward, PagedForward)
    assert enabled(reasons) == ALL - {"cuda_graphs"}
    assert device.replayed == 0


def test_frequencies_that_depend_on_positions_are_not_captured() -> None:
    config: Qwen2Config = small_config()
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    config.rope_parameters = rope
    device = ReferenceDevice(PAGE_SIZE)
    _, reasons = made(device, pooled(random_model(config)))
    assert enabled(reasons) == ALL - {"cuda_graphs"}
    assert device.captured == 0


def test_without_right_draws_the_host_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "draws_differ", lambda _logits: "wrong result: other tokens")
    forward, reasons = made(ReferenceDevice(PAGE_SIZE))
    assert enabled(reasons) == ALL - {"device_sampling"}
    assert not forward.draws


def test_a_model_on_the_cpu_has_no_cuda_device() -> None:
    assert isinstance(find_cuda(small_pooled_model()), str)


def test_a_model_with_a_device_is_paged_and_its_paths_are_reported() -> None:
    options = ForwardOptions(OPTIONS, 1, 1, compiled=False)
    loaded = make_forward(small_pooled_model, options, lambda _model: ReferenceDevice(PAGE_SIZE))
    assert isinstance(loaded.forward, PagedForward)
    assert loaded.kernels == "varlen_attn"
    assert {path.name for path in loaded.fast_paths if path.enabled} == ALL
    (compiled,) = (path for path in loaded.fast_paths if path.name == "compiled_decoder")
    assert (compiled.enabled, compiled.reason) == (False, "switched off")
