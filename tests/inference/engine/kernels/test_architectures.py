"""Models that the compiled decoder computes, and the reasons why it leaves others alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from inference.engine.engines import random_model
from inference.engine.random_configs import NAMES, random_config
from sizeup_inference.engine.kernels.architectures import read_architecture, unsupported_reason

Change = Callable[[PreTrainedModel], object]


def test_the_reference_shapes_are_supported() -> None:
    for name in NAMES:
        assert unsupported_reason(random_model(random_config(name))) is None


class Derived(Qwen2ForCausalLM):  # type: ignore[no-untyped-call]
    """A class with code that the compiled decoder does not know."""


class Quantized(torch.nn.Linear):
    """A linear layer whose weights are stored in a way of their own."""


def quantize(model: PreTrainedModel) -> None:
    model.model.layers[1].mlp.up_proj = Quantized(64, 96, bias=False)


def add_bias(model: PreTrainedModel) -> None:
    model.model.layers[0].mlp.down_proj = torch.nn.Linear(96, 64)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.half(), "float16"),
        (lambda m: m.model.norm.bfloat16(), "float32"),
        (lambda m: m.model.layers[1].to("meta"), "CPU"),
        (quantize, "quantized"),
        (add_bias, "biases"),
    ],
)
def test_a_changed_model_is_left_to_transformers(change: Change, reason: str) -> None:
    model = random_model(random_config("qwen2-mha-tied"))
    change(model)
    assert reason in (unsupported_reason(model) or "")


def test_an_unknown_class_is_left_to_transformers() -> None:
    assert "Derived" in (unsupported_reason(Derived(Qwen2Config(**small_shape()))) or "")


def small_shape() -> dict[str, Any]:
    return {"vocab_size": 50, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "rope"),
        ({"attention_bias": True}, "biases"),
        ({"mlp_bias": True}, "biases"),
        ({"intermediate_size": 104}, "104"),
        ({"hidden_size": 72}, "72"),
        ({"head_dim": 24}, "24"),
        ({"head_dim": 16}, "16"),
    ],
)
def test_an_unusual_config_is_left_to_transformers(changes: dict[str, Any], reason: str) -> None:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
    config = LlamaConfig(**(small_shape() | heads | changes))
    assert reason in (unsupported_reason(random_model(config)) or "")


def test_bfloat16_needs_depths_of_whole_tiles() -> None:
    shape = small_shape() | {"intermediate_size": 112, "num_attention_heads": 2}
    model = random_model(LlamaConfig(**shape, num_key_value_heads=2))
    assert unsupported_reason(model) is None
    assert "112" in (unsupported_reason(model.bfloat16()) or "")


def test_only_the_layers_of_the_sliding_window_have_one() -> None:
    found = read_architecture(random_model(random_config("qwen2-sliding")))
    assert [layer.window for layer in found.layers] == [None, 40]
    assert found.tied
    assert found.head_dim == 32
