"""What `sizeup mirror` has to offer: Hugging Face model folders, and the snapshots of a cache.

FOLDER/toy-5m/config.json                    sizeup/toy-5m, revision main
FOLDER/org/name/config.json                  org/name, revision main
FOLDER/models--org--name/snapshots/<commit>  org/name, by its commits and refs

Nothing is remembered but digests: what is put into the folder is there with the next request.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sizeup_store.weights import (
    CONFIG,
    fingerprint,
    is_commit,
    is_hub_id,
    is_revision,
    repository_folder,
    sha256_of,
)

OWN_ORGANISATION = "sizeup"
"""Of models whose folder has no organisation: a hub's ids have two parts."""
MAIN = "main"

_CACHE_PREFIX = "models--"
_LARGE_BYTES = 10 << 20
"""From here on the hub wants large-file storage, whatever the name."""
_LARGE_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".onnx", ".msgpack", ".h5")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class NoRepositoryError(Exception):
    """There is no such model."""


class NoRevisionError(Exception):
    """The model is there, and has no such revision."""


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a model, its content promised as the hub promises it."""

    name: str
    """Path below the model, with slashes."""
    path: Path
    size: int
    """Bytes."""
    digest: str
    """sha256 (64 digits) of a large file, else git's blob id (40 digits)."""

    @property
    def is_large(self) -> bool:
        """Tell whether a hub keeps the file in large-file storage."""
        return len(self.digest) == 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a model."""

    id: str
    commit: str
    files: tuple[HeldFile, ...]

    def file(self, name: str) -> HeldFile | None:
        """Return a file by name."""
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file as the disk shows it."""

    name: str
    path: Path
    seen: tuple[int, int]
    """Its fingerprint."""
    digest: str | None
    """None where only the content tells."""


class Library:
    """The models below a folder. Belongs to one event loop."""

    def __init__(self, root: Path) -> None:
        """Name the folder."""
        self._root = root.resolve()
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}
        self._hashing = asyncio.Lock()  # one file at a time: the disk is shared

    def ids(self) -> list[str]:
        """Return the id of every model, sorted."""
        return sorted(set(self._ids()))

    def _ids(self) -> Iterator[str]:
        for folder in _folders(self._root):
            if folder.name.startswith(_CACHE_PREFIX):
                yield folder.name.removeprefix(_CACHE_PREFIX).replace("--", "/", 1)
            elif self._may_be_read(folder / CONFIG):
                yield f"{OWN_ORGANISATION}/{folder.name}"
            else:
                inner = (f"{folder.name}/{child.name}" for child in _folders(folder))
                yield from (name for name in inner if self._may_be_read(self._root / name / CONFIG))

    async def snapshot(self, model_id: str, revision: str) -> Snapshot:
        """Return a model at a branch, tag or commit; hashes what it has not seen before.

        Raises NoRepositoryError or NoRevisionError.
        """
        if not is_hub_id(model_id):
            raise NoRepositoryError(model_id)
        if plain := self._plain_folder(model_id):
            return await self._plain(model_id, plain, revision)
        return await self._cached(model_id, revision)

    def _plain_folder(self, model_id: str) -> Path | None:
        own = model_id.removeprefix(f"{OWN_ORGANISATION}/")
        candidates = [self._root / name for name in dict.fromkeys((own, model_id))]
        return next((path for path in candidates if self._may_be_read(path / CONFIG)), None)

    async def _plain(self, model_id: str, folder: Path, revision: str) -> Snapshot:
        files = await self._files(folder)
        commit = content_commit(files)
        if revision not in (MAIN, commit):
            raise NoRevisionError(revision)
        return Snapshot(model_id, commit, files)

    async def _cached(self, model_id: str, revision: str) -> Snapshot:
        repository = repository_folder(model_id, self._root)
        if not (repository / "snapshots").is_dir():
            raise NoRepositoryError(model_id)
        commit = _commit_of(repository, revision)
        folder = repository / "snapshots" / commit
        if not is_commit(commit) or not folder.is_dir():
            raise NoRevisionError(revision)
        return Snapshot(model_id, commit, await self._files(folder))

    async def _files(self, folder: Path) -> tuple[HeldFile, ...]:
        found = await asyncio.to_thread(self._find, folder)
        return tuple([await self._held(file) for file in found])

    async def _held(self, found: _Found) -> HeldFile:
        digest = found.digest or await self._digest(found)
        return HeldFile(found.name, found.path, found.seen[0], digest)

    async def _digest(self, found: _Found) -> str:
        """Return the digest of a file's content, which is read once as long as it is the same."""
        async with self._hashing:
            seen, digest = self._digests.get(found.path, (None, ""))
            if seen != found.seen:
                digest = await asyncio.to_thread(_hash, found.path, found.seen[0])
                self._digests[found.path] = (found.seen, digest)
        return digest

    def _find(self, folder: Path) -> list[_Found]:
        """Return the files to show, by name: nothing hidden, nothing outside the root."""
        paths: list[Path] = []
        for here, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += [Path(here) / name for name in names if not name.startswith(".")]
        return [
            _Found(path.relative_to(folder).as_posix(), target, fingerprint(target), _promise(path))
            for path in sorted(paths)
            if self._may_be_read(target := path.resolve())
        ]

    def _may_be_read(self, path: Path) -> bool:
        target = path.resolve()
        return target.is_file() and target.is_relative_to(self._root)


def content_commit(files: tuple[HeldFile, ...]) -> str:
    """Return a commit that changes with any file's name or content, and with nothing else."""
    lines = "".join(f"{file.name}\0{file.digest}\n" for file in files)
    return hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest()


def _commit_of(repository: Path, revision: str) -> str:
    """Follow a branch or tag; whatever is none stands for itself."""
    if not is_revision(revision):
        raise NoRevisionError(revision)
    try:
        return (repository / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return revision


def _promise(path: Path) -> str | None:
    """Return the digest that names the cache blob behind a snapshot's file, if it is one."""
    if not path.is_symlink():
        return None
    target = path.readlink()
    return target.name if target.parent.name == "blobs" and _DIGEST.fullmatch(target.name) else None


def _hash(path: Path, size: int) -> str:
    if size >= _LARGE_BYTES or path.name.endswith(_LARGE_SUFFIXES):
        return sha256_of(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def _raise(error: OSError) -> None:
    """Let a folder that cannot be read be an error: os.walk would leave it out."""
    raise error


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
