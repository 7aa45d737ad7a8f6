"""Load the weights of a model folder with transformers.

safetensors only and no code from the folder. The caller verifies the files: their structure before
loading, their checksums at the latest before the model generates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.distributed.configuration_utils import DistributedConfig
from transformers.utils.logging import disable_progress_bar

from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.loading.checkpoints import dequantize_on_load, loaded_bytes
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.memory import bound_gpu_memory, usable_gpu_bytes
from sizeup_inference.engine.loading.quantize_onto_gpu import quantize_onto
from sizeup_inference.engine.quantization.formats import Format

_SINGLE_GPU_SHARE = 0.8
"""Weights up to this share of one GPU are placed on it; accelerate distributes larger ones."""

_LAYER_KINDS = {"full_attention", "sliding_attention"}
"""transformers' layer_types whose only state is keys and values."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The model folder, its placement and its dtype."""

    folder: Path
    device: str
    """auto, cpu, cuda or cuda:N."""
    dtype: str
    """auto (that of the model's config), float32, bfloat16 or float16."""
    gpu_memory_bytes: int | None = None
    """Memory of each GPU that the process may use; None: all."""
    tie_head: bool = False
    """Take the embedding of tokens as the output head: the files of a model that only embeds text
    may lack one."""
    tensor_parallel: int = 1
    """Ranks, each of which loads its part."""
    quantization: Format | None = None
    """On a GPU the weights are quantized as they are placed; on a CPU the caller does it."""


def load_model(options: LoadOptions) -> PreTrainedModel:
    """Load weights for inference with the pooled attention; with several ranks, this rank's part.

    On a CPU, weights whose dtype is the requested one are the mapped file: loading reads and copies
    nothing, and a page is read on its first use.

    Raises LoadError for a missing device, an unsupported architecture, missing weights and weights
    that exceed the devices' memory, and transformers' own errors for weights that do not match
    their configuration.
    """
    placement = _placement(options)
    device_map = placement.get("device_map")
    bound_gpu_memory(options.gpu_memory_bytes, gpus_of(device_map))
    config = _read_config(options.folder)
    _require_supported(config)
    dequantize_on_load(config)
    if options.tie_head:
        config.tie_word_embeddings = True
    quantized_onto = None if options.quantization is None else _single_gpu(device_map)
    if quantized_onto is not None:
        placement = {"device_map": {"": "cpu"}}
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it writes to stderr, among the logs
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        options.folder,
        config=config,
        dtype=options.dtype,
        **placement,
        attn_implementation=ATTENTION_NAME,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    model: PreTrainedModel
    model, report = loaded
    # transformers initializes missing weights at random and only warns.
    if missing := sorted(report["missing_keys"]):
        raise LoadError(f"{len(missing)} weights are missing from the files, such as {missing[0]}")
    _require_in_place(model)
    model.eval()  # type: ignore[no-untyped-call]
    if quantized_onto and options.quantization is not None:
        quantize_onto(model, options.quantization, torch.device(quantized_onto))
    return model


def gpus_of(device_map: str | Mapping[str, str] | None) -> Sequence[int]:
    """Return the GPUs of a placement; a rank has none, and one GPU or the CPU."""
    gpus = range(torch.cuda.device_count())
    if device_map is None:
        rank = dist.get_rank()
        return gpus[rank : rank + 1]
    if isinstance(device_map, str):
        return gpus
    return [int(place.removeprefix("cuda:")) for place in device_map.values() if place != "cpu"]


def _placement(options: LoadOptions) -> dict[str, Any]:
    if options.tensor_parallel > 1:
        return {"distributed_config": DistributedConfig(tp_size=options.tensor_parallel)}
    limit = options.gpu_memory_bytes
    free = [usable_gpu_bytes(found, limit) for found in free_gpu_bytes(options.device)]
    device_map = choose_device_map(options.device, 0, free)
    if len(free) > 1:  # one that is large enough may be left to choose
        device_map = choose_device_map(options.device, weight_bytes(options), free)
    if device_map != "auto" or limit is None:
        return {"device_map": device_map}
    return {"device_map": device_map, "max_memory": dict(enumerate(free))}


def weight_bytes(options: LoadOptions) -> int:
    """Return about how many bytes the weights of a folder take once they are loaded."""
    files = sum(f.stat().st_size for f in options.folder.glob("*.safetensors"))
    config = _read_config(options.folder)
    return loaded_bytes(files, config, options.dtype, options.quantization)


def _single_gpu(device_map: str | Mapping[str, str] | None) -> str | None:
    """Return the GPU that quantized weights are placed on; None for the CPU.

    Raises LoadError where they would be distributed over several, or over ranks.
    """
    if device_map is None:
        raise LoadError("quantized weights are not divided among ranks: set tensor_parallel to 1")
    if isinstance(device_map, str):
        raise LoadError("quantized weights are placed on one GPU, and these exceed it")
    device = device_map[""]
    return None if device == "cpu" else device


def _require_supported(config: PretrainedConfig) -> None:
    """Raise LoadError for an architecture that the engine would compute wrongly or not at all."""
    text: PretrainedConfig = config.get_text_config()
    if unknown := set(getattr(text, "layer_types", None) or ()) - _LAYER_KINDS:
        names = ", ".join(sorted(unknown))
        raise LoadError(f"{text.model_type} has unsupported layer types: {names}")
    if not getattr(text, "is_causal", True) or getattr(text, "use_bidirectional_attention", False):
        raise LoadError(f"{text.model_type} uses bidirectional attention, which is not supported")
    if getattr(text, "attn_logit_softcapping", None) is not None:
        raise LoadError(f"{text.model_type} uses attention softcapping, which is not supported")


def _require_in_place(model: PreTrainedModel) -> None:
    """Raise LoadError when accelerate has offloaded layers: each step would copy them in."""
    offloaded = sum(parameter.is_meta for parameter in model.parameters())
    if offloaded:
        raise LoadError(f"insufficient GPU memory: {offloaded} weights do not fit")


def free_gpu_bytes(device: str) -> Sequence[int]:
    """Return the free memory of each visible GPU; 0 where placement does not depend on it.

    A query creates a CUDA context of some hundred MB on its GPU, so GPUs that other processes use
    are not queried.
    """
    if device == "cpu":
        return []
    choosing = device in ("auto", "cuda")
    gpus = range(torch.cuda.device_count())
    return [torch.cuda.mem_get_info(gpu)[0] if choosing else 0 for gpu in gpus]


def choose_device_map(
    device: str, weight_bytes: int, free_gpu_bytes: Sequence[int]
) -> str | Mapping[str, str]:
    """Return the placement of the layers: one device, or accelerate's "auto" over several GPUs.

    Raises LoadError for a missing GPU.
    """
    if device == "cpu" or (device == "auto" and not free_gpu_bytes):
        return {"": "cpu"}
    if device in ("auto", "cuda") and free_gpu_bytes:
        fits_one = weight_bytes <= _SINGLE_GPU_SHARE * free_gpu_bytes[0]
        return {"": "cuda:0"} if fits_one or len(free_gpu_bytes) == 1 else "auto"
    if device in {f"cuda:{i}" for i in range(len(free_gpu_bytes))}:
        return {"": device}
    raise LoadError(f"device {device!r} not found: {len(free_gpu_bytes)} GPU(s) available")


def read_text_config(folder: Path) -> PretrainedConfig:
    """Return the configuration of a folder's language model."""
    config: PretrainedConfig = _read_config(folder).get_text_config()
    return config


def _read_config(folder: Path) -> PretrainedConfig:
    config: PretrainedConfig = AutoConfig.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    return config
