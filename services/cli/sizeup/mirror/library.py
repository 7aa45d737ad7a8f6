"""The models of `sizeup mirror`: Hugging Face model folders, and the snapshots of a cache.

FOLDER/toy-5m/config.json                    sizeup/toy-5m, revision main
FOLDER/org/name/config.json                  org/name, revision main
FOLDER/models--org--name/snapshots/<commit>  org/name, by its commits and refs

Only digests are cached: files added to the folder are served with the next request.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sizeup_store.markers import blob_digest, fingerprint
from sizeup_store.weights import (
    CONFIG,
    ModelNotFoundError,
    find_snapshot,
    git_blob_id,
    is_hub_id,
    repository_folder,
    sha256_of,
)

OWN_ORGANISATION = "sizeup"
"""Organisation of models in folders without one: ids of the hub have two parts."""
MAIN = "main"

_CACHE_PREFIX = "models--"
_LARGE_BYTES = 10 << 20
"""From this size the hub uses large-file storage, whatever the name."""
_LARGE_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".onnx", ".msgpack", ".h5")


class NotFoundError(Exception):
    """No such model, revision or file, in the words of the hub."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """X-Error-Code: RepoNotFound, RevisionNotFound or EntryNotFound."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model with its digest as the hub reports it."""

    name: str
    """Path relative to the model, with slashes."""
    path: Path
    fingerprint: tuple[int, int]
    """Size and mtime."""
    digest: str
    """sha256 (64 digits) of a large file, else git's blob id (40 digits); empty until computed."""

    @property
    def size(self) -> int:
        return self.fingerprint[0]

    @property
    def is_large(self) -> bool:
        """Whether the hub would use large-file storage."""
        return len(self.digest) == 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a model."""

    id: str
    commit: str
    files: tuple[ModelFile, ...]

    def file(self, name: str) -> ModelFile | None:
        return next((file for file in self.files if file.name == name), None)


class Library:
    """The models of a folder. Belongs to one event loop."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}
        self._hashing = asyncio.Lock()  # one file at a time: the disk is shared

    def ids(self) -> list[str]:
        return sorted(set(self._ids()))

    def _ids(self) -> Iterator[str]:
        for folder in _folders(self._root):
            if folder.name.startswith(_CACHE_PREFIX):
                yield folder.name.removeprefix(_CACHE_PREFIX).replace("--", "/", 1)
            elif self._is_served(folder / CONFIG):
                yield f"{OWN_ORGANISATION}/{folder.name}"
            else:
                inner = (f"{folder.name}/{child.name}" for child in _folders(folder))
                yield from (name for name in inner if self._is_served(self._root / name / CONFIG))

    async def snapshot(self, model_id: str, revision: str) -> Snapshot:
        """Return a model at a branch, tag or commit, hash what is new, or raise NotFoundError."""
        if is_hub_id(model_id):
            if plain := self._plain_folder(model_id):
                return await self._plain(model_id, plain, revision)
            if (repository_folder(model_id, self._root) / "snapshots").is_dir():
                return await self._cached(model_id, revision)
        raise NotFoundError("RepoNotFound", f"Repository not found: {model_id}")

    def _plain_folder(self, model_id: str) -> Path | None:
        own = model_id.removeprefix(f"{OWN_ORGANISATION}/")
        candidates = [self._root / name for name in dict.fromkeys((own, model_id))]
        return next((path for path in candidates if self._is_served(path / CONFIG)), None)

    async def _plain(self, model_id: str, folder: Path, revision: str) -> Snapshot:
        files = await self._files(folder)
        commit = content_commit(files)
        if revision not in (MAIN, commit):
            raise _no_revision(revision)
        return Snapshot(model_id, commit, files)

    async def _cached(self, model_id: str, revision: str) -> Snapshot:
        try:
            folder = find_snapshot(model_id, revision, self._root)
        except ModelNotFoundError as error:
            raise _no_revision(revision) from error
        return Snapshot(model_id, folder.name, await self._files(folder))

    async def _files(self, folder: Path) -> tuple[ModelFile, ...]:
        found = await asyncio.to_thread(self._find, folder)
        return tuple([await self._with_digest(file) for file in found])

    async def _with_digest(self, found: ModelFile) -> ModelFile:
        return found if found.digest else replace(found, digest=await self._digest(found))

    async def _digest(self, found: ModelFile) -> str:
        """Return the digest of a file, read once per fingerprint."""
        async with self._hashing:
            known, digest = self._digests.get(found.path, (None, ""))
            if known != found.fingerprint:
                digest = await asyncio.to_thread(_hash, found.path, found.size)
                self._digests[found.path] = (found.fingerprint, digest)
        return digest

    def _find(self, folder: Path) -> list[ModelFile]:
        """Return the files by name, without hidden ones and those outside the root."""
        paths: list[Path] = []
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += [Path(parent) / name for name in names if not name.startswith(".")]
        return [
            ModelFile(
                path.relative_to(folder).as_posix(),
                target,
                fingerprint(target),
                blob_digest(path) or "",
            )
            for path in sorted(paths)
            if self._is_served(target := path.resolve())
        ]

    def _is_served(self, path: Path) -> bool:
        target = path.resolve()
        return target.is_file() and target.is_relative_to(self._root)


def content_commit(files: tuple[ModelFile, ...]) -> str:
    """Return a commit id derived from the names and contents of all files."""
    lines = "".join(f"{file.name}\0{file.digest}\n" for file in files)
    return hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest()


def _no_revision(revision: str) -> NotFoundError:
    return NotFoundError("RevisionNotFound", f"Invalid rev id: {revision}")


def _hash(path: Path, size: int) -> str:
    is_large = size >= _LARGE_BYTES or path.name.endswith(_LARGE_SUFFIXES)
    return sha256_of(path) if is_large else git_blob_id(path)


def _raise(error: OSError) -> None:
    """Make an unreadable folder an error, which os.walk would skip."""
    raise error


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
