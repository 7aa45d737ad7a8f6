"""Find a model on disk and verify that it is safe to load. Standard library only.

A folder is a Hugging Face model folder or a snapshot of the Hugging Face cache, whose files are
links: `models--org--name/snapshots/<commit>/file -> ../../blobs/<sha256>`. The safetensors library
rejects a malformed file but loads one with changed bytes, so the content of a cached weight file is
compared with the sha256 that is its name. Reading 100 GB takes minutes: `sizeup pull` does it once
and writes a completion marker, which is valid while size and mtime stay the same.
"""

import hashlib
import json
import os
import re
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sizeup_store.errors import StoreError
from sizeup_store.markers import expected_sha256, fingerprint, read_marker
from sizeup_store.quantized_checkpoints import refusal, unsupported_method

CONFIG = "config.json"
SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
MODULES = "modules.json"
"""Of sentence-transformers: the steps from text to a vector, each with a folder for its config."""

_REMOTE_CODE_KEYS = ("auto_map", "trust_remote_code", "_attn_implementation_internal")
"""Config keys that make transformers import code from the model's folder or from a hub."""

_REPOSITORY_PREFIX = "models--"
_REPOSITORIES = f"{_REPOSITORY_PREFIX}*--*"
_HUB = "hub"
"""The cache in the folder HF_HOME."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")
_POOLING_CONFIG = re.compile(r"[0-9]{1,2}_Pooling/config\.json")

_HEADER_LIMIT = 100_000_000
"""Largest header in bytes that the safetensors library reads."""
_MAX_DIMENSION = 2**63
_HASH_THREADS = 4
"""As many as transformers reads weights with: more slow down a network volume."""


class WeightsError(StoreError):
    """A model cannot be loaded; the message names the file or the model."""


class ModelNotFoundError(WeightsError):
    """Neither a folder nor a model of the cache."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a weight file."""

    name: str
    dtype: str
    """As in safetensors: BF16, F16, F32, F8_E4M3, I32, ..."""
    shape: tuple[int, ...]


def is_hub_id(model: str) -> bool:
    """Return whether a string has the form org/name, and so names one folder of the cache."""
    return _ID.fullmatch(model) is not None


def is_revision(revision: str) -> bool:
    """Return whether a string can be a branch, tag or commit: a path without `..`."""
    return _REVISION.fullmatch(revision) is not None


def is_commit(revision: str) -> bool:
    return _COMMIT.fullmatch(revision) is not None


def is_shard_name(name: str) -> bool:
    """Return whether an index may list this file: a safetensors file of the same folder."""
    return _SHARD.fullmatch(name) is not None


def is_pooling_config(name: str) -> bool:
    """Return whether it configures sentence-transformers' pooling: no other subfolder is read."""
    return _POOLING_CONFIG.fullmatch(name) is not None


def repository_folder(model_id: str, cache: Path) -> Path:
    """Return the folder of a model in a cache, or in the one below it if this is HF_HOME."""
    name = f"{_REPOSITORY_PREFIX}{model_id.replace('/', '--')}"
    below = cache / _HUB / name
    return below if below.is_dir() and not (cache / name).is_dir() else cache / name


def model_ids(cache: Path) -> list[str]:
    """Return the ids of the models that a cache, or the cache below it, has a folder for."""
    found = {path.name for parent in (cache, cache / _HUB) for path in parent.glob(_REPOSITORIES)}
    return sorted(name.removeprefix(_REPOSITORY_PREFIX).replace("--", "/") for name in found)


def find_model(model: str, revision: str | None, cache: Path) -> Path:
    """Return the folder of a model: a folder is itself, an org/name id is looked up in the cache.

    Raises ModelNotFoundError. Reads only the reference; see verify.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_id(model):
        raise ModelNotFoundError(f"{model}: not a folder, and not a Hugging Face id (org/name)")
    return find_snapshot(model, revision or "main", cache)


def find_snapshot(model_id: str, revision: str, cache: Path) -> Path:
    """Return the folder of a branch, tag or commit in the cache; raises ModelNotFoundError."""
    if not is_revision(revision):
        raise ModelNotFoundError(f"{model_id}: {revision!r} is not a revision")
    repository = repository_folder(model_id, cache)
    try:
        commit = (repository / "refs" / revision).read_text(encoding="ascii").strip() or revision
    except (OSError, UnicodeDecodeError):  # no branch or tag
        commit = revision
    snapshot = repository / "snapshots" / commit
    if not is_commit(commit) or not snapshot.is_dir():
        raise ModelNotFoundError(
            f"{model_id} (revision {revision}) is not in {cache}; run: sizeup pull {model_id}"
        )
    return snapshot


def verify(folder: Path) -> None:
    """Raise WeightsError unless the folder has intact safetensors that need no remote code."""
    check_structure(folder)
    verify_checksums(folder)


def verify_checksums(folder: Path) -> None:
    """Raise WeightsError unless every cached weight file without a valid marker has its sha256.

    One core computes about 1 GB/s; the files are read concurrently.
    """
    verified = read_marker(folder)
    expected = {folder / name: expected_sha256(folder / name) for name in weight_names(folder)}
    pending = {
        path: digest
        for path, digest in expected.items()
        if digest is not None and verified.get(digest) != fingerprint(path)
    }
    with ThreadPoolExecutor(_HASH_THREADS, "checksum") as executor:
        for (path, digest), actual in zip(
            pending.items(), executor.map(sha256_of, pending), strict=True
        ):
            if actual != digest:
                raise WeightsError(
                    f"{path}: checksum mismatch: expected {digest}, got {actual}; pull it again"
                )


def check_structure(folder: Path) -> None:
    """Raise WeightsError for what cannot be loaded: remote code, a quantization, GGUF files, or
    sizes that contradict the headers. Takes milliseconds."""
    if not any(folder.glob("*.safetensors")) and any(folder.glob("*.gguf")):
        raise WeightsError(refusal(model_name(folder), "GGUF"))
    config = read_json(folder / CONFIG)
    refuse_remote_code(config, folder / CONFIG)
    refuse_quantization(config, model_name(folder))
    for name in weight_names(folder):
        _read_header(folder / name)


def model_name(folder: Path) -> str:
    """Return the id of a snapshot in the cache, else the folder's name."""
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith(_REPOSITORY_PREFIX):
        return repository.removeprefix(_REPOSITORY_PREFIX).replace("--", "/")
    return folder.resolve().name


def refuse_quantization(config: Mapping[str, Any], model: str) -> None:
    """Raise WeightsError for weights that are stored by an unsupported quantization."""
    if method := unsupported_method(config):
        raise WeightsError(refusal(model, method.upper()))


def refuse_remote_code(config: Mapping[str, Any], path: Path | str) -> None:
    """Raise WeightsError when a config requires trust_remote_code."""
    for key in _REMOTE_CODE_KEYS:
        if config.get(key):
            raise WeightsError(f"{path}: requires trust_remote_code, which is disabled ({key})")
    for value in config.values():
        if isinstance(value, dict):
            refuse_remote_code(value, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or raise WeightsError naming the file."""
    value = _parse_json(path)
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: not a JSON object")
    return value


def read_json_objects(path: Path) -> list[dict[str, Any]]:
    """Read an array of JSON objects, or raise WeightsError naming the file."""
    value = _parse_json(path)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WeightsError(f"{path}: not an array of JSON objects")
    return value


def _parse_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not readable as JSON ({error})") from error


def weight_names(folder: Path) -> tuple[str, ...]:
    """Return the safetensors files that transformers would load, sorted."""
    if _exists(folder / SINGLE_WEIGHTS):
        return (SINGLE_WEIGHTS,)
    index = folder / WEIGHTS_INDEX
    if _exists(index):
        return shard_names(read_json(index), index)
    raise WeightsError(
        f"{folder / SINGLE_WEIGHTS}: missing; safetensors is the only supported format"
    )


def shard_names(index: Mapping[str, Any], path: Path | str) -> tuple[str, ...]:
    """Return the files of an index, sorted, or raise WeightsError."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{path}: has no weight_map")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if not is_shard_name(name):
            raise WeightsError(
                f"{path}: lists {name!r}, which is not a safetensors file in the same folder"
            )
    return tuple(names)


def _exists(path: Path) -> bool:
    # A dangling link is a corrupt file, not a missing one.
    return path.exists() or path.is_symlink()


def stored_tensors(folder: Path) -> Sequence[StoredTensor]:
    """Return the tensors of the weight files by their headers, or raise WeightsError."""
    return [
        _stored_tensor(name, fields, folder / file)
        for file in weight_names(folder)
        for name, fields in _read_header(folder / file).items()
    ]


def _stored_tensor(name: str, fields: Mapping[str, Any], path: Path) -> StoredTensor:
    dtype, shape = fields.get("dtype"), fields.get("shape")
    if not (isinstance(dtype, str) and isinstance(shape, list) and all(map(_is_size, shape))):
        raise WeightsError(f"{path}: tensor {name!r} has no valid dtype and shape")
    return StoredTensor(name, dtype, tuple(shape))


def _is_size(number: object) -> bool:
    return isinstance(number, int) and 0 <= number < _MAX_DIMENSION


def _read_header(path: Path) -> Mapping[str, Any]:
    """Return the header's tensors, at least one; WeightsError unless they describe the size."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            prefix = file.read(8)
            (length,) = struct.unpack("<Q", prefix) if len(prefix) == 8 else (_HEADER_LIMIT + 1,)
            header = file.read(length) if length <= min(size, _HEADER_LIMIT) else b""
    except OSError as error:
        raise WeightsError(f"{path}: not readable ({error.strerror})") from error
    try:
        tensors: dict[str, Any] = json.loads(header)
        tensors.pop("__metadata__", None)
        data_bytes = max(_tensor_end(tensor["data_offsets"]) for tensor in tensors.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: not a safetensors file") from error
    end = 8 + len(header) + data_bytes
    if end != size:
        raise WeightsError(f"{path}: {size} bytes, but its header describes {end}")
    return tensors


def _tensor_end(offsets: list[int]) -> int:
    begin, end = offsets
    if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end):
        raise ValueError("offsets out of order")
    return end


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_id(path: Path) -> str:
    """Return git's hex digest of a file's content; for small files, which are read at once."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()
