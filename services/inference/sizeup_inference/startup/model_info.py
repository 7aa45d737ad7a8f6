"""The description of a model from the files of its folder."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sizeup_store.weights import CONFIG, MODULES, read_json, weight_names
from sizeup_wire.model import SamplingDefaults

log = logging.getLogger(__name__)

_SAMPLING_KEYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Values of generation_config.json that a request can set as well. As in vLLM do_sample is ignored
and temperature decides: a base model's `do_sample: false` would make all output greedy."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What is known of a model folder without loading the weights."""

    sampling: SamplingDefaults
    license: str
    digest: str
    modified_at: float
    weight_bytes: int


def read_folder(folder: Path) -> ModelFolder:
    """Describe a folder that weights.verify has accepted."""
    weights = [folder / name for name in weight_names(folder)]
    return ModelFolder(
        sampling=read_sampling(folder),
        license=_read_license(folder),
        digest=_digest(folder, weights),
        modified_at=max(f.stat().st_mtime for f in weights),
        weight_bytes=sum(f.stat().st_size for f in weights),
    )


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


def read_eos_token_ids(folder: Path, tokenizer_eos: int | None) -> tuple[int, ...]:
    """Return the end-of-sequence tokens of the tokenizer and of generation_config.json."""
    named = _read_generation_config(folder).get("eos_token_id")
    ids = {*(named if isinstance(named, list) else [named]), tokenizer_eos} - {None}
    return tuple(sorted(ids))


def _read_generation_config(folder: Path) -> dict[str, Any]:
    file = folder / "generation_config.json"
    return read_json(file) if file.exists() else {}


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
