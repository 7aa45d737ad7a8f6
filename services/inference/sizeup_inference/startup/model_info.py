"""The description of a model from the files of its folder. No torch, whose import takes seconds."""

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sizeup_inference.settings import Settings
from sizeup_inference.startup.embedding_config import read_embedding_config
from sizeup_inference.startup.loaded_model import reported_id
from sizeup_inference.startup.stored_weights import count_parameters, storage_format
from sizeup_inference.text.infill import can_infill
from sizeup_store.weights import CONFIG, MODULES, read_json, stored_tensors, weight_names
from sizeup_wire.model import ModelInfo, SamplingDefaults

log = logging.getLogger(__name__)

_TOKENIZER_CONFIG = "tokenizer_config.json"
_SAMPLING_KEYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Values of generation_config.json that a request can set as well. As in vLLM do_sample is ignored
and temperature decides: a base model's `do_sample: false` would make all output greedy."""


def describe_folder(settings: Settings, folder: Path) -> ModelInfo:
    """Describe a model by its files; what loading decides is 0 or empty.

    Reads the headers of the weights, which takes milliseconds. Raises WeightsError for an
    incomplete folder, and ValueError for a config.json with values of the wrong type.
    """
    whole = read_json(folder / CONFIG)
    config = {**whole, **(whole.get("text_config") or {})}  # of a multimodal model
    tensors = stored_tensors(folder)
    weights = [folder / name for name in weight_names(folder)]
    template = read_template(folder)
    return ModelInfo(
        id=reported_id(settings),
        revision=settings.revision,
        parameters=count_parameters(tensors, config),
        weight_bytes=sum(f.stat().st_size for f in weights),
        dtype=_dtype(settings, config),
        stored_as=storage_format(tensors, config),
        quantization=settings.quantization or "",
        context_length=settings.max_model_len or config.get("max_position_embeddings") or 0,
        template=template,
        capabilities=_capabilities(folder, template),
        license=_read_license(folder),
        digest=_digest(folder, weights),
        modified_at=max(f.stat().st_mtime for f in weights),
        eos_token_ids=read_eos_token_ids(folder, config.get("eos_token_id")),
        sampling=read_sampling(folder),
        device="",
        device_bytes=0,
        load_ns=0,
        **_architecture(config),
    )


def _capabilities(folder: Path, template: str) -> tuple[str, ...]:
    if read_embedding_config(folder) is not None:
        return ("embedding",)
    return capabilities(template, infills=can_infill(read_added_tokens(folder)))


def read_template(folder: Path) -> str:
    """Return the chat template, as transformers does; empty for a base model without one."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = _read(folder / _TOKENIZER_CONFIG).get("chat_template")
    return template if isinstance(template, str) else ""  # not several by name


def read_added_tokens(folder: Path) -> frozenset[str]:
    """Return the added tokens, of the small file where it has them: tokenizer.json has 10 MB."""
    by_id = _read(folder / _TOKENIZER_CONFIG).get("added_tokens_decoder")
    listed = by_id.values() if isinstance(by_id, dict) else None
    tokens = listed or _read(folder / "tokenizer.json").get("added_tokens") or ()
    return frozenset(str(token["content"]) for token in tokens if isinstance(token, dict))


def capabilities(template: str, *, infills: bool = False) -> tuple[str, ...]:
    """Return what a chat template and a tokenizer support, as ModelInfo.capabilities."""
    found = ["completion"]
    if infills:
        found.append("insert")
    if re.search(r"\btools\b", template):
        found.append("tools")
    if "enable_thinking" in template or "<think>" in template:
        found.append("thinking")
    return tuple(found)


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of config.json, by their names in ModelInfo; 0 for what is missing."""
    hidden_size = config.get("hidden_size") or 0
    heads = config.get("num_attention_heads") or 0
    return {
        "architecture": config.get("model_type") or "",
        "layers": config.get("num_hidden_layers") or 0,
        "hidden_size": hidden_size,
        "intermediate_size": config.get("intermediate_size") or 0,
        "heads": heads,
        "kv_heads": config.get("num_key_value_heads") or heads,
        "head_dim": config.get("head_dim") or hidden_size // (heads or 1),
        "vocab_size": config.get("vocab_size") or 0,
        "rms_norm_eps": config.get("rms_norm_eps"),
        "rope_theta": (config.get("rope_parameters") or config).get("rope_theta"),
    }


def _dtype(settings: Settings, config: Mapping[str, Any]) -> str:
    if settings.dtype != "auto":
        return settings.dtype
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def read_sampling(folder: Path) -> SamplingDefaults:
    """Return the defaults of generation_config.json.

    Values out of the range of requests are ignored with a warning.
    """
    config = _read_generation_config(folder)
    return SamplingDefaults.model_validate(
        {key: config[key] for key in _SAMPLING_KEYS if _is_valid(key, config.get(key))}
    )


def _is_valid(key: str, value: object) -> bool:
    try:
        SamplingDefaults.model_validate({key: value})
    except ValidationError:
        log.warning("generation_config.ignored", extra={"key": key, "value": repr(value)})
        return False
    return value is not None


def read_eos_token_ids(folder: Path, others: object) -> tuple[int, ...]:
    """Return the end-of-sequence tokens of generation_config.json, with another one or a list."""
    ids: set[Any] = set()
    for named in (_read_generation_config(folder).get("eos_token_id"), others):
        ids |= set(named if isinstance(named, list) else [named])
    return tuple(sorted(ids - {None}))


def _read_generation_config(folder: Path) -> Mapping[str, Any]:
    return _read(folder / "generation_config.json")


def _read(file: Path) -> Mapping[str, Any]:
    return read_json(file) if file.is_file() else {}


def _read_license(folder: Path) -> str:
    return next((f.read_text(errors="replace") for f in sorted(folder.glob("LICENSE*"))), "")


def _digest(folder: Path, weights: list[Path]) -> str:
    """Hash what changes with the model without reading the weights.

    In the Hugging Face cache a weight file links to a blob named by its sha256; elsewhere its size
    and mtime identify its content.
    """
    digest = hashlib.sha256((folder / CONFIG).read_bytes())
    for config in (folder / MODULES, *sorted(folder.glob("*_Pooling/config.json"))):
        if config.exists():
            digest.update(config.read_bytes())
    for file in weights:
        stat = file.stat()
        content = file.resolve().name if file.is_symlink() else f"{stat.st_size}:{stat.st_mtime_ns}"
        digest.update(f"\n{file.name} {content}".encode())
    return digest.hexdigest()
