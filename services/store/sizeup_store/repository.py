"""The files of a repository on the hub, and those that a model needs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from huggingface_hub.hf_api import RepoSibling

from sizeup_store.errors import HubResponseError, UnsupportedModelError
from sizeup_store.hub import HubClient
from sizeup_store.markers import DIGEST
from sizeup_store.quantized_checkpoints import refusal
from sizeup_store.weights import (
    CONFIG,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    is_commit,
    is_pooling_config,
    is_shard_name,
)

_SMALL_FILES = re.compile(
    r"config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json|vocab\.json"
    r"|merges\.txt|special_tokens_map\.json|added_tokens\.json|chat_template\.(?:json|jinja)"
    r"|model\.safetensors\.index\.json|modules\.json|LICENSE(?:\.txt|\.md)?"
)
"""All that a Qwen model needs besides its weights and the config of its pooling: no code."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub describes it."""

    name: str
    size: int
    """Bytes."""
    digest: str
    """sha256 of a file in large-file storage (64 digits), else git's blob id (40 digits)."""


@dataclass(frozen=True, slots=True)
class Repository:
    """One commit of a model."""

    id: str
    commit: str
    files: Mapping[str, RemoteFile]
    """Those that may be downloaded, by name."""

    def small_files(self) -> list[RemoteFile]:
        return [file for name, file in self.files.items() if _is_small_file(name)]

    def weights(self, names: Iterable[str]) -> list[RemoteFile]:
        """Return these weight files, or raise UnsupportedModelError."""
        missing = [name for name in names if name not in self.files]
        if missing:
            raise UnsupportedModelError(f"{self.id}: {WEIGHTS_INDEX} lists {missing[0]}: not found")
        return [self.files[name] for name in names]


def describe(client: HubClient, model_id: str, revision: str) -> Repository:
    """Resolve a revision; refuse a repository without safetensors before any download."""
    info = client.with_retries(lambda: client.model_info(model_id, revision))
    commit, siblings = info.sha, info.siblings
    if not isinstance(commit, str) or not is_commit(commit) or siblings is None:
        raise HubResponseError(f"{client.host}: the description of {model_id} has no commit")
    if is_commit(revision) and commit != revision:
        raise HubResponseError(f"{client.host} returned commit {commit} instead of {revision}")
    wanted = [sibling for sibling in siblings if _is_wanted(sibling.rfilename)]
    _require_safetensors(
        model_id,
        {sibling.rfilename for sibling in wanted},
        has_gguf=any(s.rfilename.endswith(".gguf") for s in siblings),
    )
    files = [_described(s) or _from_headers(client, model_id, commit, s.rfilename) for s in wanted]
    return Repository(model_id, commit, {file.name: file for file in files})


def _is_wanted(name: str) -> bool:
    return _is_small_file(name) or is_shard_name(name)


def _is_small_file(name: str) -> bool:
    return _SMALL_FILES.fullmatch(name) is not None or is_pooling_config(name)


def _require_safetensors(model_id: str, names: set[str], *, has_gguf: bool) -> None:
    if has_gguf and not names & {SINGLE_WEIGHTS, WEIGHTS_INDEX}:
        raise UnsupportedModelError(refusal(model_id, "GGUF"))
    if CONFIG not in names:
        raise UnsupportedModelError(f"{model_id} has no {CONFIG}: not a transformers model")
    if not names & {SINGLE_WEIGHTS, WEIGHTS_INDEX}:
        raise UnsupportedModelError(f"{model_id} has no safetensors, the only supported format")


def _described(sibling: RepoSibling) -> RemoteFile | None:
    """Return what the description itself contains; mirrors may leave size and digest out."""
    if sibling.lfs is not None:
        return _checked(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return _checked(sibling.rfilename, sibling.size, sibling.blob_id)


def _from_headers(client: HubClient, model_id: str, commit: str, name: str) -> RemoteFile:
    head = client.with_retries(lambda: client.file_metadata(model_id, commit, name))
    file = _checked(name, head.size, head.etag)
    if file is None:
        raise HubResponseError(f"{client.host} returned no size and digest of {name}")
    return file


def _checked(name: str, size: object, digest: object) -> RemoteFile | None:
    if not isinstance(size, int) or size < 0:
        return None
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        return None
    if is_shard_name(name) and len(digest) != 64:  # weights are verified by sha256 only
        return None
    return RemoteFile(name, size, digest)
