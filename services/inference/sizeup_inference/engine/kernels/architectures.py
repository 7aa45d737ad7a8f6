"""Which transformers models the compiled decoder computes, and where their weights are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedModel

from sizeup_inference.engine.quantization.formats import GROUP, Format
from sizeup_inference.engine.quantization.modules import QuantizedEmbedding, QuantizedLinear

Linear = torch.nn.Linear | QuantizedLinear

_MODULES = {
    f"transformers.models.{name}.modeling_{name}.{kind}ForCausalLM"
    for name, kind in (("llama", "Llama"), ("qwen2", "Qwen2"), ("qwen3", "Qwen3"))
}
"""Classes of one architecture: they differ in biases and in norms of queries and keys only."""

_STATIC_ROPES = {"default", "linear", "llama3", "yarn"}

_DEPTH_UNIT = {torch.bfloat16: 32, torch.float32: 16}
"""What the inner sizes of all products are multiples of: a tile's depth, a panel's columns."""

_HEAD_DIM_UNIT = 32
"""Halves of a head are rotated in vectors of 16."""


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The modules of one decoder layer."""

    input_norm: torch.Tensor
    post_norm: torch.Tensor
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    qkv: Sequence[Linear]
    o: Linear
    gate_up: Sequence[Linear]
    down: Linear
    window: int | None


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder of the Llama family."""

    dtype: torch.dtype
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    epsilon: float
    inverse_frequencies: torch.Tensor
    """float32[head_dim / 2]"""
    rope_scale: float
    final_norm: torch.Tensor
    head: Linear
    embedding: torch.nn.Embedding | QuantizedEmbedding
    tied: bool
    layers: Sequence[LayerWeights]


def format_of(linear: Linear) -> Format | None:
    """Return how a weight is quantized; None if it is not."""
    return linear.format if isinstance(linear, QuantizedLinear) else None


def unsupported_reason(model: PreTrainedModel) -> str | None:
    """Return why the compiled decoder cannot compute this model; None where it can."""
    kind, config = type(model), model.config
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name not in _MODULES:
        return f"no compiled decoder for {kind.__qualname__}"
    if model.dtype not in _DEPTH_UNIT or {p.dtype for p in model.parameters()} != {model.dtype}:
        return f"no compiled decoder for {model.dtype}"
    if any(p.device.type != "cpu" for p in model.parameters()):
        return "not on the CPU"
    if config.hidden_act != "silu":
        return f"activation {config.hidden_act}"
    if not has_static_rope(config):
        return f"rope type {config.rope_parameters['rope_type']}"
    return _unsupported_shape(read_architecture(model))


def has_static_rope(config: PretrainedConfig) -> bool:
    """Return whether the frequencies are the same for every position and length."""
    parameters = getattr(config, "rope_parameters", None) or {}
    return parameters.get("rope_type", "default") in _STATIC_ROPES


def _unsupported_shape(found: Architecture) -> str | None:
    unit = _DEPTH_UNIT[found.dtype] if format_of(found.layers[0].o) is None else GROUP
    sizes = (found.hidden, found.intermediate)
    if any(size % unit for size in sizes):
        return f"sizes {sizes} are not multiples of {unit}"
    if found.head_dim % _HEAD_DIM_UNIT:
        return f"head_dim {found.head_dim} is not a multiple of {_HEAD_DIM_UNIT}"
    linears = [m for w in found.layers for m in (*w.qkv, w.o, *w.gate_up, w.down)]
    if any(type(m) not in (torch.nn.Linear, QuantizedLinear) for m in (*linears, found.head)):
        return "quantized weights of another kind"
    if len({format_of(m) for m in linears}) > 1:
        return "weights of several formats"
    if isinstance(found.head, QuantizedLinear) is not isinstance(
        found.embedding, QuantizedEmbedding
    ):
        return "head and embedding of different formats"
    unbiased = [m for w in found.layers for m in (w.o, *w.gate_up, w.down)]
    if any(m.bias is not None for m in (*unbiased, found.head)):
        return "biases outside of the attention's inputs"
    return None


def read_architecture(model: PreTrainedModel) -> Architecture:
    """Find the sizes and weights of a supported model."""
    config = model.config
    decoder = model.get_decoder()  # type: ignore[no-untyped-call]
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    layers = [_read_layer(layer) for layer in decoder.layers]
    return Architecture(
        dtype=model.dtype,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=decoder.layers[0].self_attn.head_dim,
        vocab=head.out_features,
        epsilon=config.rms_norm_eps,
        inverse_frequencies=decoder.rotary_emb.inv_freq,
        rope_scale=decoder.rotary_emb.attention_scaling,
        final_norm=decoder.norm.weight,
        head=head,
        embedding=decoder.embed_tokens,
        tied=_is_tied(decoder.embed_tokens, head),
        layers=layers,
    )


def _is_tied(embedding: torch.nn.Module, head: torch.nn.Module) -> bool:
    if isinstance(embedding, QuantizedEmbedding):
        return isinstance(head, QuantizedLinear) and embedding.values is head.values
    return embedding.weight is head.weight


def _read_layer(layer: torch.nn.Module) -> LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    modules: Mapping[str, torch.nn.Module] = dict(attention.named_children())  # type: ignore[union-attr]
    norms = {name: modules[name].weight for name in ("q_norm", "k_norm") if name in modules}
    return LayerWeights(
        input_norm=layer.input_layernorm.weight,  # type: ignore[union-attr,arg-type]
        post_norm=layer.post_attention_layernorm.weight,  # type: ignore[union-attr,arg-type]
        q_norm=norms.get("q_norm"),  # type: ignore[arg-type]
        k_norm=norms.get("k_norm"),  # type: ignore[arg-type]
        qkv=[modules[name] for name in ("q_proj", "k_proj", "v_proj")],  # type: ignore[misc]
        o=modules["o_proj"],  # type: ignore[arg-type]
        gate_up=[mlp.gate_proj, mlp.up_proj],  # type: ignore[union-attr,list-item]
        down=mlp.down_proj,  # type: ignore[union-attr,arg-type]
        window=getattr(attention, "sliding_window", None),
    )
