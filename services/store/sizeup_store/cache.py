"""Write the Hugging Face cache: every step is one rename, and no step relies on a lock.

models--org--name/blobs/<digest>                 a complete, verified file
                  blobs/<digest>.<host>.<pid>.<random>.incomplete   partial file of one process
                  blobs/<digest>.<random>.released.incomplete       partial file without an owner
                  snapshots/<commit>/<file>      link to a blob; config.json is linked last
                  refs/<branch>                  the commit; written after the snapshot
                  .sizeup/<commit>.complete      completion marker; see sizeup_store.weights
                  .sizeup/<revision>.progress    for waiting pods; see sizeup_store.progress
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from pathlib import Path

from sizeup_store.errors import DiskError
from sizeup_store.markers import fingerprint, read_marker, write_atomically
from sizeup_store.repository import RemoteFile
from sizeup_store.weights import CONFIG, git_blob_id, is_commit, repository_folder, sha256_of

_SPARE_BYTES = 64 << 20
"""Left free on the disk for logs and other programs."""
_SUFFIX = ".incomplete"
_RELEASED = "released"


class RepositoryCache:
    """One model's folder of the cache."""

    def __init__(self, cache: Path, model_id: str, abandoned_seconds: float) -> None:
        """A partial file not written to for `abandoned_seconds` has no live owner."""
        self.abandoned_seconds = abandoned_seconds
        self.folder = repository_folder(model_id, cache)
        self._blobs = self.folder / "blobs"
        self._known: dict[str, tuple[int, int]] = {}
        self._lock_path = cache / ".locks" / self.folder.name / "sizeup.lock"

    def prepare(self) -> None:
        """Make the folders, which must be writable, and load the completion markers."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        for part in ("blobs", "snapshots", "refs"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for snapshot in (self.folder / "snapshots").iterdir():
            self._known |= read_marker(snapshot)

    def blob(self, file: RemoteFile) -> Path:
        return self._blobs / file.digest

    def has(self, file: RemoteFile) -> bool:
        """Return whether a file is cached and verified; delete a corrupt one."""
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
        needed = sum(file.size - self._resumable(file) for file in files) + _SPARE_BYTES
        free = shutil.disk_usage(self._blobs).free
        if needed > free:
            raise DiskError(
                f"{self._blobs}: {free / 2**30:.2f} GiB free, {needed / 2**30:.2f} GiB needed"
            )

    def _resumable(self, file: RemoteFile) -> int:
        sizes = [size_of(path) for path in self._partial_files(file, _Owner.DEAD)]
        return min(max(sizes, default=0), file.size)

    def _partial_files(self, file: RemoteFile, owner: "_Owner") -> list[Path]:
        paths = self._blobs.glob(f"{file.digest}*{_SUFFIX}")
        return [path for path in paths if _owner_of(path, self.abandoned_seconds) is owner]

    def unverified_owners(self, files: Iterable[RemoteFile]) -> dict[Path, int]:
        """Return path and length of partial files of other hosts, whose process may be alive."""
        paths = (path for file in files for path in self._partial_files(file, _Owner.UNKNOWN))
        return {path: size_of(path) for path in paths}

    def partial_file(self, file: RemoteFile) -> Path:
        """Return the path of a partial file owned by this process.

        The longest one of a dead process is taken over and the others are deleted. A rename has
        one winner, so no two processes resume the same file.
        """
        host, random = _host(), secrets.token_hex(8)
        own = self._blobs / f"{file.digest}.{host}.{os.getpid()}.{random}{_SUFFIX}"
        for path in sorted(self._partial_files(file, _Owner.DEAD), key=size_of, reverse=True):
            with contextlib.suppress(FileNotFoundError):
                path.unlink() if own.exists() else path.rename(own)
        return own

    def release(self, partial: Path, file: RemoteFile) -> None:
        """Give up ownership, so that the next pull on any host can resume; there may be none."""
        name = f"{file.digest}.{secrets.token_hex(8)}.{_RELEASED}{_SUFFIX}"
        with contextlib.suppress(OSError):  # then it counts as that of a killed process
            partial.rename(self._blobs / name)

    def sweep(self) -> None:
        """Delete the partial files of dead processes, of this commit or another.

        Those of huggingface_hub, whose names have fewer parts, are left for it to resume.
        """
        for path in self._blobs.glob(f"*.*.*{_SUFFIX}"):
            if _owner_of(path, self.abandoned_seconds) is _Owner.DEAD:
                with contextlib.suppress(OSError):  # costs disk space only
                    path.unlink()

    def add(self, partial: Path, file: RemoteFile) -> None:
        """Make a verified file the blob."""
        with partial.open("rb") as content:
            os.fsync(content.fileno())
        partial.replace(self.blob(file))

    def link(self, commit: str, files: Iterable[RemoteFile]) -> Path:
        """Link verified blobs into the commit's snapshot; return its folder."""
        snapshot = self.folder / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        files = sorted(files, key=lambda file: file.name == CONFIG)
        for file in files:
            path = snapshot / file.name
            path.parent.mkdir(exist_ok=True)
            up = "../" * len(path.relative_to(self.folder).parts[:-1])
            _link(path, f"{up}blobs/{file.digest}")
        return snapshot

    def write_ref(self, revision: str, commit: str) -> None:
        """Point a branch or tag at the commit; a commit needs no reference."""
        if not is_commit(revision):
            reference = self.folder / "refs" / revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(reference, commit)

    @contextlib.contextmanager
    def lock(self, warn: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
        """Yield a function that tries to take the lock of this model; True when it has it.

        The lock only saves work: some network file systems grant it to every process, and one
        without locks counts as granted after `warn`.
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
        warn(f"no file locks in the cache ({error.strerror}): concurrent pulls download twice")
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())


class _Owner(Enum):
    """State of the process that owns a partial file."""

    DEAD = auto()
    ALIVE = auto()
    UNKNOWN = auto()


def _owner_of(partial: Path, abandoned_seconds: float) -> _Owner:
    """Return whether the owner is alive: by its pid on this host, else by the last write's time."""
    try:
        if time.time() - partial.stat().st_mtime > abandoned_seconds:
            return _Owner.DEAD
    except FileNotFoundError:  # just renamed by another process
        return _Owner.ALIVE
    if partial.name.endswith(f".{_RELEASED}{_SUFFIX}"):
        return _Owner.DEAD
    _, *owner = partial.name.removesuffix(_SUFFIX).split(".")
    if len(owner) != 3 or owner[0] != _host() or not owner[1].isdecimal():
        return _Owner.UNKNOWN
    pid = int(owner[1])
    if pid == os.getpid():  # of an earlier container: this process has no file yet
        return _Owner.DEAD
    return _Owner.ALIVE if _is_running(pid) else _Owner.DEAD


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM  # of another user
    return True


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 without one."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _link(path: Path, target: str) -> None:
    """Create or replace a link atomically."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.symlink_to(target)
    temporary.replace(path)


def content_digest(path: Path, like: str) -> str:
    """Return the sha256 of a file, or git's blob id if `like` has its length."""
    return sha256_of(path) if len(like) == 64 else git_blob_id(path)
