"""Say what a loaded model is, from its folder and its configuration."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sizeup_store.weights import read_json, weight_names
from sizeup_wire.model import SamplingDefaults

log = logging.getLogger(__name__)

_SAMPLING_KEYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""What generation_config.json can say that a request can say too. do_sample is not among them:
as in vLLM, a temperature decides, so that a base model's `do_sample: false` does not make every
answer greedy."""


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What the files of a model folder tell without loading them."""

    sampling: SamplingDefaults
    license: str
    digest: str
    modified_at: float
    weight_bytes: int


def read_folder(folder: Path) -> FolderFacts:
    """Read a folder that weights.verify has accepted."""
    weights = [folder / name for name in weight_names(folder)]
    return FolderFacts(
        sampling=read_sampling(folder),
        license=_read_license(folder),
        digest=_digest(folder, weights),
        modified_at=max(f.stat().st_mtime for f in weights),
        weight_bytes=sum(f.stat().st_size for f in weights),
    )


def read_sampling(folder: Path) -> SamplingDefaults:
    """Return the defaults of generation_config.json.

    What it does not say stays open, and so does, with a log line, what no request could say.
    """
    config = _read_generation_config(folder)
    return SamplingDefaults.model_validate(
        {key: config[key] for key in _SAMPLING_KEYS if _is_sayable(key, config.get(key))}
    )


def _is_sayable(key: str, value: object) -> bool:
    try:
        SamplingDefaults.model_validate({key: value})
    except ValidationError:
        log.warning("generation_config.ignored", extra={"key": key, "value": repr(value)})
        return False
    return value is not None


def read_eos_token_ids(folder: Path, tokenizer_eos: int | None) -> tuple[int, ...]:
    """Return the end-of-sequence tokens: the tokenizer's and generation_config.json's."""
    named = _read_generation_config(folder).get("eos_token_id")
    ids = {*(named if isinstance(named, list) else [named]), tokenizer_eos} - {None}
    return tuple(sorted(ids))


def _read_generation_config(folder: Path) -> dict[str, Any]:
    file = folder / "generation_config.json"
    return read_json(file) if file.exists() else {}


def _read_license(folder: Path) -> str:
    return next((f.read_text(errors="replace") for f in sorted(folder.glob("LICENSE*"))), "")


def _digest(folder: Path, weights: list[Path]) -> str:
    """Hash what changes with the model, without reading gigabytes again.

    In the Hugging Face cache a weight file links to a blob whose name is its sha256; elsewhere its
    size and time of change stand for its content.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in weights:
        stat = file.stat()
        content = file.resolve().name if file.is_symlink() else f"{stat.st_size}:{stat.st_mtime_ns}"
        digest.update(f"\n{file.name} {content}".encode())
    return digest.hexdigest()
