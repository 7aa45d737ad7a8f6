"""Models -> the entries of Ollama's /api/tags, /api/ps and /api/show. Pure."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sizeup_gateway.api.ollama.chunks import timestamp
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.responses.framing import Json
from sizeup_gateway.responses.json_bytes import JsonFragment
from sizeup_wire.model import ModelInfo

_UNKNOWN = "unknown"
"""Placeholder while no process has described a model; clients require a string that is not
empty."""

_FOREVER = timedelta(days=292 * 365)
"""Go's longest duration, which Ollama adds for a model that never expires."""

_MAX_TIMESTAMP = 2.5e11
"""In the year 9892; Python's datetime ends in 9999."""

_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
_QUANTIZATIONS = {"int8": "Q8_0", "int4": "Q4_0"}
"""GGUF's names of the same: groups of 32 integers with a 16-bit scale."""
_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32, "Q8_0": 7, "Q4_0": 2}
"""GGUF's numbers; it has none for quantizations of safetensors."""

_ARRAYS = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type")
"""Fields of model_info that are null unless a verbose response asks for megabytes."""

_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def to_tag(model: Model, now: datetime) -> Json:
    """Return the entry of /api/tags; from the catalog alone if nothing has described the model."""
    return {
        **_identity(model),
        "modified_at": timestamp(_modified_at(model, now)),
        "details": _details(model),
        "capabilities": _capabilities(model),
    }


def to_process(model: Model, now: datetime) -> Json:
    """Return the entry of /api/ps.

    `load_duration` is the time until the process was ready, `size` the memory taken by loading.
    """
    info = model.info
    return {
        **_identity(model),
        "size": (info.memory_bytes or info.weight_bytes) if info else 0,
        "details": _details(model),
        "expires_at": timestamp(_expires_at(model, now)),
        "size_vram": info.device_bytes if info else 0,
        "context_length": info.context_length if info else 0,
        "state": model.state,
        **({"load_duration": info.load_ns} if info and info.load_ns else {}),
    }


def _expires_at(model: Model, now: datetime) -> datetime:
    """Return when the last replica expires; a model that does not scale to zero never does."""
    times = [replica.expires_at for replica in model.pool.replicas if replica.ready]
    known = [at for at in times if at is not None]
    if model.entry.scale_to_zero is None or not known or len(known) < len(times):
        return now + _FOREVER
    return min(datetime.fromtimestamp(min(max(known), _MAX_TIMESTAMP), UTC), now + _FOREVER)


def to_show(
    model: Model,
    name: str,
    user_agent: str,
    now: datetime,
    details: Sequence[bytes] | None = None,
) -> Json:
    """Return the response of /api/show. `model_info` is always an object: clients require it.

    `details` are the encoded arrays of routes.MODEL_DETAILS, for a verbose response.
    """
    info = model.info
    model_info = {} if info is None else _model_info(info)
    tensors: Json = {}
    if details is not None:
        tensors = {"tensors": JsonFragment((details[0],))}
        arrays = [JsonFragment((array,)) for array in details[1:]]
        model_info |= zip(_ARRAYS, arrays, strict=True)
    if user_agent.startswith("GitHubCopilotChat/"):
        model_info["general.basename"] = name
    template = "" if info is None else info.template
    parameters = _parameters(info)
    return {
        "license": _license(model),
        "modelfile": f"FROM {model.entry.id}\n"
        + "".join(f"PARAMETER {line}\n" for line in parameters),
        "parameters": "\n".join(parameters),
        "template": template,
        "details": _details(model),
        "model_info": model_info,
        **tensors,
        "capabilities": _capabilities(model),
        "modified_at": timestamp(_modified_at(model, now)),
    }


def _identity(model: Model) -> Json:
    entry, info = model.entry, model.info
    placeholder = hashlib.sha256(f"{entry.id}@{entry.revision or ''}".encode()).hexdigest()
    return {
        "name": model.listed_name,
        "model": model.listed_name,
        "size": info.weight_bytes if info else 0,
        "digest": info.digest if info else placeholder,
    }


def _modified_at(model: Model, now: datetime) -> datetime:
    return now if model.info is None else datetime.fromtimestamp(model.info.modified_at, UTC)


def _capabilities(model: Model) -> list[str]:
    return [] if model.info is None else list(model.info.capabilities)


def _details(model: Model) -> Json:
    info = model.info
    family = info.architecture if info else _UNKNOWN
    parameters = info.parameters if info else model.entry.parameters
    details: Json = {
        "parent_model": "",
        "format": "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": human_count(parameters) if parameters else _UNKNOWN,
        "quantization_level": _weights_as(info) if info else _UNKNOWN,
    }
    if info is not None:
        details["context_length"] = info.context_length
        details["embedding_length"] = info.hidden_size
    return details


def _weights_as(info: ModelInfo) -> str:
    """Return what the weights are in memory where they were quantized on load, else what the files
    hold; an earlier release reports only what it computes in."""
    if info.quantization:
        return _QUANTIZATIONS.get(info.quantization, info.quantization.upper())
    return info.stored_as or _DTYPES.get(info.dtype, info.dtype.upper())


def human_count(count: int) -> str:
    """Format 494032768 as 494.03M, as Ollama does."""
    for scale, letter in _SCALES:
        if count >= scale:
            return f"{count / scale:.{1 if scale >= 10**9 else 2}f}{letter}"
    return str(count)


def _license(model: Model) -> str:
    if model.info is not None and model.info.license:
        return model.info.license
    return f"See the model card of {model.entry.id}."


def _parameters(info: ModelInfo | None) -> list[str]:
    """List the default parameters, aligned as Ollama prints them."""
    if info is None:
        return []
    values: Json = {"num_ctx": info.context_length}
    sampling = info.sampling
    values |= {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    return [f"{name:<30} {value}" for name, value in values.items() if value is not None]


def _model_info(info: ModelInfo) -> Json:
    """Return the metadata by GGUF's keys; without a key for what is unknown."""
    arch = info.architecture
    head_dim = info.head_dim or None
    values: Json = {
        "general.architecture": arch,
        "general.basename": info.id.rpartition("/")[2],
        "general.file_type": _FILE_TYPES.get(_weights_as(info)),
        "general.parameter_count": info.parameters,
        f"{arch}.context_length": info.context_length,
        f"{arch}.embedding_length": info.hidden_size,
        f"{arch}.block_count": info.layers,
        f"{arch}.feed_forward_length": info.intermediate_size,
        f"{arch}.attention.head_count": info.heads,
        f"{arch}.attention.head_count_kv": info.kv_heads,
        f"{arch}.attention.key_length": head_dim,
        f"{arch}.attention.value_length": head_dim,
        f"{arch}.attention.layer_norm_rms_epsilon": info.rms_norm_eps,
        f"{arch}.rope.dimension_count": head_dim,
        f"{arch}.rope.freq_base": info.rope_theta,
        f"{arch}.vocab_size": info.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.eos_token_id": next(iter(info.eos_token_ids), None),
    }
    known = {key: value for key, value in values.items() if value is not None}
    return known | dict.fromkeys(_ARRAYS)
