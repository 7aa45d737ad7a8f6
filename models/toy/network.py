"""Builds the Qwen2 networks and writes them as Hugging Face model folders."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from sizes import Size
from tokenizer import CONTEXT, VOCABULARY

# Sampling defaults of Qwen2.5, except that the repetition penalty is off (1.0), since correct sums
# and copies repeat tokens.
GENERATION = {
    "do_sample": True,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "repetition_penalty": 1.0,
}


# Weights whose output is added to the residual stream
WRITERS = ("embed_tokens.weight", "o_proj.weight", "down_proj.weight")


def build(size: Size) -> Qwen2ForCausalLM:
    """Build a randomly initialized network in float32."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(config)


@torch.no_grad()
def grow(small: Qwen2ForCausalLM, large: Qwen2ForCausalLM) -> None:
    """Initialize a network from a smaller one so that both compute the same function.

    The matrices of the small network become the corner of the large one's. All other weights that
    write to the residual stream are zero, so new heads, units and layers contribute nothing before
    training; weights that read from it keep their random values, so that gradients flow. Both must
    have the same head size and the same number of heads per KV head.
    """
    inner, outer = len(small.model.layers), len(large.model.layers)
    places = {round((i + 1) * outer / inner) - 1: i for i in range(inner)}
    # RMSNorm divides by the mean square over the width, of which the new part is zero.
    scale = math.sqrt(small.config.hidden_size / large.config.hidden_size)
    old = small.state_dict()
    for name, weights in large.named_parameters():
        source = _name_in_smaller(name, places)
        if name.endswith(WRITERS):
            weights.zero_()
        if source is not None:
            corner = tuple(slice(n) for n in old[source].shape)
            weights[corner] = old[source] * (scale if name.endswith("norm.weight") else 1.0)


def _name_in_smaller(name: str, places: dict[int, int]) -> str | None:
    """Return the name of a weight in the small network, or None in a new layer."""
    match = re.match(r"model\.layers\.(\d+)\.(.*)", name)
    if match is None:
        return name
    place = places.get(int(match[1]))
    return None if place is None else f"model.layers.{place}.{match[2]}"


def export(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors.

    The weights are stored in float16 to halve the download; `dtype` is float32 so that
    `dtype="auto"` computes in float32, which is fast on every CPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    turn, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = model.config.to_dict() | {"eos_token_id": turn, "pad_token_id": pad}
    config |= {"dtype": "float32", "architectures": ["Qwen2ForCausalLM"]}
    for private in [key for key in config if key.startswith("_")]:
        del config[private]
    _write_json(folder / "config.json", config)
    generation = GENERATION | {"eos_token_id": [turn, pad], "pad_token_id": pad}
    _write_json(folder / "generation_config.json", generation)
    weights = {
        name: tensor.to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embedding
    }
    temporary = folder / "model.safetensors.tmp"
    save_file(weights, temporary, metadata={"format": "pt"})
    # safetensors writes mode 0600, but images and volumes are read by another user.
    temporary.chmod(0o644)
    os.replace(temporary, folder / "model.safetensors")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
