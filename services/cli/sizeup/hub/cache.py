"""The Hugging Face cache as pull writes it: every step is one rename, nothing trusts a lock.

models--org--name/blobs/<digest>                 a whole, verified file
                  blobs/<digest>.<host>.<pid>.<random>.incomplete   one process's draft
                  blobs/<digest>.<random>.released.incomplete       nobody's any more
                  snapshots/<commit>/<file>      link to a blob; config.json comes last
                  refs/<branch>                  the commit; comes after the snapshot
                  .sizeup/<commit>.complete      completion marker; see sizeup_store.weights
                  .sizeup/<revision>.progress    for who waits; see sizeup_store.progress
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from pathlib import Path

from sizeup.errors import DiskError
from sizeup.hub.repository import RemoteFile
from sizeup_store.weights import (
    CONFIG,
    fingerprint,
    is_commit,
    read_marker,
    repository_folder,
    sha256_of,
)

_SPARE_BYTES = 64 << 20
"""Left free on the disk: logs and other programs must not be the next to fail."""
_SUFFIX = ".incomplete"
_RELEASED = "released"


class RepositoryCache:
    """One model's folder of the cache."""

    def __init__(self, cache: Path, model_id: str, patience_seconds: float) -> None:
        """Name the folder; prepare makes it. Drafts older than the patience are abandoned."""
        self.patience_seconds = patience_seconds
        self.folder = repository_folder(model_id, cache)
        self._blobs = self.folder / "blobs"
        self._known: dict[str, tuple[int, int]] = {}
        self._lock_path = cache / ".locks" / self.folder.name / "sizeup.lock"

    def prepare(self) -> None:
        """Make the folders and see that they can be written; learn what was verified before."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        for part in ("blobs", "snapshots", "refs"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for snapshot in (self.folder / "snapshots").iterdir():
            self._known |= read_marker(snapshot)

    def blob(self, file: RemoteFile) -> Path:
        """Return where a whole file is or will be."""
        return self._blobs / file.digest

    def has(self, file: RemoteFile) -> bool:
        """Tell whether a file is here whole and right; delete it when it is not."""
        blob = self.blob(file)
        if not blob.is_file():
            return False
        if self._known.get(file.digest) == fingerprint(blob):
            return True
        if blob.stat().st_size == file.size and content_digest(blob, file.digest) == file.digest:
            return True
        blob.unlink(missing_ok=True)
        return False

    def require_room(self, files: Iterable[RemoteFile]) -> None:
        """Raise DiskError unless the missing files fit on the disk."""
        needed = sum(file.size - self._begun(file) for file in files) + _SPARE_BYTES
        free = shutil.disk_usage(self._blobs).free
        if needed > free:
            raise DiskError(
                f"{self._blobs} has {free / 2**30:.2f} GiB free, the model needs "
                f"{needed / 2**30:.2f}"
            )

    def _begun(self, file: RemoteFile) -> int:
        sizes = [_size(path) for path in self._drafts(file, _Owner.GONE)]
        return min(max(sizes, default=0), file.size)

    def _drafts(self, file: RemoteFile, owner: "_Owner") -> list[Path]:
        drafts = self._blobs.glob(f"{file.digest}*{_SUFFIX}")
        return [path for path in drafts if _owner_of(path, self.patience_seconds) is owner]

    def doubtful(self, files: Iterable[RemoteFile]) -> dict[Path, int]:
        """Return the lengths of drafts from elsewhere whose processes may be gone or at work."""
        drafts = (path for file in files for path in self._drafts(file, _Owner.UNKNOWN))
        return {path: _size(path) for path in drafts}

    def draft(self, file: RemoteFile) -> Path:
        """Return the path of a partial file of this process alone.

        The longest draft of a dead process is taken over and the others are deleted. A rename
        has one winner, so no two processes go on with the same one.
        """
        host, random = _host(), secrets.token_hex(8)
        mine = self._blobs / f"{file.digest}.{host}.{os.getpid()}.{random}{_SUFFIX}"
        for path in sorted(self._drafts(file, _Owner.GONE), key=_size, reverse=True):
            with contextlib.suppress(FileNotFoundError):
                path.unlink() if mine.exists() else path.rename(mine)
        return mine

    def release(self, draft: Path, file: RemoteFile) -> None:
        """Leave a draft to whoever comes next, on whichever host; there may be none."""
        name = f"{file.digest}.{secrets.token_hex(8)}.{_RELEASED}{_SUFFIX}"
        with contextlib.suppress(OSError):  # it is then abandoned like that of a killed process
            draft.rename(self._blobs / name)

    def sweep(self) -> None:
        """Delete what was begun by processes that are gone, for this commit or another.

        Drafts of huggingface_hub, whose names have fewer parts, are its own to resume.
        """
        for path in self._blobs.glob(f"*.*.*{_SUFFIX}"):
            if _owner_of(path, self.patience_seconds) is _Owner.GONE:
                with contextlib.suppress(OSError):  # it takes room and is in nobody's way
                    path.unlink()

    def keep(self, draft: Path, file: RemoteFile) -> None:
        """Make a verified draft the blob."""
        with draft.open("rb") as content:
            os.fsync(content.fileno())
        draft.replace(self.blob(file))

    def link(self, commit: str, files: Iterable[RemoteFile]) -> Path:
        """Link verified blobs into the commit's snapshot and return that."""
        snapshot = self.folder / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        files = sorted(files, key=lambda file: file.name == CONFIG)
        for file in files:
            _link(snapshot / file.name, f"../../blobs/{file.digest}")
        return snapshot

    def point(self, revision: str, commit: str) -> None:
        """Let a branch or tag mean this commit; a commit means itself."""
        if not is_commit(revision):
            _write(self.folder / "refs" / revision, commit)

    @contextlib.contextmanager
    def lock(self, warn: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
        """Give a function that tells whether no other pull of this model is known to run.

        Only saves work: some network file systems grant the lock to everybody, and where there
        are none at all, which `warn` is told, that is the answer too.
        """
        with self._lock_path.open("ab") as file:
            yield lambda: _flock(file.fileno(), warn)


def _flock(descriptor: int, warn: Callable[[str], None]) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        warn(f"the cache has no locks ({error.strerror}): pulls at the same time do the work twice")
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())


class _Owner(Enum):
    """Whose a draft is."""

    GONE = auto()
    ALIVE = auto()
    UNKNOWN = auto()


def _owner_of(draft: Path, patience_seconds: float) -> _Owner:
    """Tell whether the process that wrote a draft is gone.

    On this host its pid says so; elsewhere, that it has not written for longer than a live
    download is silent.
    """
    try:
        if time.time() - draft.stat().st_mtime > patience_seconds:
            return _Owner.GONE
    except FileNotFoundError:  # under another name now, or the blob: somebody is at work
        return _Owner.ALIVE
    if draft.name.endswith(f".{_RELEASED}{_SUFFIX}"):
        return _Owner.GONE
    _, *owner = draft.name.removesuffix(_SUFFIX).split(".")
    if len(owner) != 3 or owner[0] != _host() or not owner[1].isdecimal():
        return _Owner.UNKNOWN
    pid = int(owner[1])
    if pid == os.getpid():  # ours is new: this was an earlier container
        return _Owner.GONE
    return _Owner.ALIVE if _is_running(pid) else _Owner.GONE


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _link(path: Path, target: str) -> None:
    """Put a link in place, over whatever is there, in one step."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.symlink_to(target)
    draft.replace(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


def content_digest(path: Path, like: str) -> str:
    """Return the sha256 of a file, or git's blob id when `like` is as short as that."""
    if len(like) == 64:
        return sha256_of(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()
