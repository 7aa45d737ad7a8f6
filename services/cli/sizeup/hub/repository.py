"""What a repository of the hub holds, and which of its files a model needs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yarl import URL

from sizeup.errors import HubAnswerError, UnsuitableModelError
from sizeup.hub.client import HubClient
from sizeup_store.weights import (
    CONFIG,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    is_commit,
    is_shard_name,
)

_SMALL_FILES = re.compile(
    r"config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json|vocab\.json"
    r"|merges\.txt|special_tokens_map\.json|added_tokens\.json|chat_template\.(?:json|jinja)"
    r"|model\.safetensors\.index\.json|LICENSE(?:\.txt|\.md)?"
)
"""All a Qwen model needs beside its weights, by whole name: nothing that runs, nothing nested."""
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file and what the hub promises of it."""

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
    """Those that could be downloaded, by name."""

    def small_files(self) -> list[RemoteFile]:
        """Return everything but weights."""
        return [file for name, file in self.files.items() if _SMALL_FILES.fullmatch(name)]

    def weights(self, names: Sequence[str]) -> list[RemoteFile]:
        """Return these weight files, or raise UnsuitableModelError."""
        missing = [name for name in names if name not in self.files]
        if missing:
            raise UnsuitableModelError(f"{self.id}: its index names {missing[0]}, which is missing")
        return [self.files[name] for name in names]


async def describe(client: HubClient, model_id: str, revision: str) -> Repository:
    """Ask the hub what a revision holds; refuse one without safetensors before any download."""
    url = client.hub.url("api", "models", model_id, "revision", _segment(revision))
    said = await client.get_json(url.with_query(blobs="true"))
    commit, siblings = said.get("sha"), said.get("siblings")
    if not isinstance(commit, str) or not is_commit(commit) or not isinstance(siblings, list):
        raise HubAnswerError(f"{url.host} does not describe {model_id} as the hub does")
    if is_commit(revision) and commit != revision:
        raise HubAnswerError(f"{url.host} answers with commit {commit} instead of {revision}")
    wanted = [s for s in siblings if isinstance(s, dict) and _is_wanted(str(s.get("rfilename")))]
    _require_safetensors(model_id, {str(s["rfilename"]) for s in wanted})
    files = [_described(s) or await _ask(client, model_id, commit, s["rfilename"]) for s in wanted]
    return Repository(model_id, commit, {file.name: file for file in files})


def _segment(revision: str) -> str:
    return revision.replace("/", "%2F")


def _is_wanted(name: str) -> bool:
    return _SMALL_FILES.fullmatch(name) is not None or is_shard_name(name)


def _require_safetensors(model_id: str, names: set[str]) -> None:
    if CONFIG not in names:
        raise UnsuitableModelError(f"{model_id} has no {CONFIG}: not a transformers model")
    if not names & {SINGLE_WEIGHTS, WEIGHTS_INDEX}:
        raise UnsuitableModelError(f"{model_id} has no safetensors; other formats are not loaded")


def _described(sibling: Mapping[str, Any]) -> RemoteFile | None:
    """Read the description's own size and digest, which mirrors may leave out."""
    stored = sibling.get("lfs") if isinstance(sibling.get("lfs"), dict) else None
    size = (stored or sibling).get("size")
    digest = stored.get("sha256") if stored else sibling.get("blobId")
    return _checked(str(sibling["rfilename"]), size, digest)


async def _ask(client: HubClient, model_id: str, commit: str, name: str) -> RemoteFile:
    """Ask for one file's headers when the description does not promise enough."""
    url = file_url(client, model_id, commit, name)
    headers = await client.head(url)
    etag = headers.get("X-Linked-Etag") or headers.get("ETag") or ""
    size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
    digest = etag.removeprefix("W/").strip('"')
    file = _checked(name, int(size) if size.isdecimal() else None, digest)
    if file is None:
        raise HubAnswerError(f"{url.host} promises no size and digest of {name}")
    return file


def _checked(name: str, size: object, digest: object) -> RemoteFile | None:
    if not isinstance(size, int) or size < 0:
        return None
    if not isinstance(digest, str) or not _HEX.fullmatch(digest):
        return None
    if is_shard_name(name) and len(digest) != 64:  # git's SHA-1 is no promise for weights
        return None
    return RemoteFile(name, size, digest)


def file_url(client: HubClient, model_id: str, commit: str, name: str) -> URL:
    """Return the address of one file of one commit."""
    return client.hub.url(model_id, "resolve", commit, name)
