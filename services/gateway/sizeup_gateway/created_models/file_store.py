"""Created models in a file, which the processes of one machine may share."""

import asyncio
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from sizeup_gateway.created_models.document import MAX_BYTES
from sizeup_gateway.created_models.store import StoreConflictError, Stored, StoreError


class FileStore:
    """Writes the file atomically; a file beside it serializes the writers."""

    def __init__(self, path: Path, poll_seconds: float) -> None:
        self._path = path
        self._poll_seconds = poll_seconds

    async def read(self) -> Stored:
        return await asyncio.to_thread(self._read)

    async def write(self, text: str, version: str) -> None:
        await asyncio.to_thread(self._write, text.encode(), version)

    async def wait(self, watch_version: str) -> None:
        await asyncio.sleep(self._poll_seconds)

    def _read(self) -> Stored:
        content = self._content()
        version = hashlib.sha256(content).hexdigest()
        try:
            return Stored(content.decode(), version, version)
        except UnicodeDecodeError as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror}") from error
        if len(content) > MAX_BYTES:
            raise StoreError(f"{self._path} is larger than {MAX_BYTES} bytes")
        return content

    def _write(self, content: bytes, version: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if self._read().version != version:
                    raise StoreConflictError(f"{self._path} has changed")
                _replace(self._path, content)
        except OSError as error:
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold a lock that ends with the process."""
        path = self._path.with_suffix(".lock")
        with open(path, "ab", opener=partial(os.open, mode=0o600)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _replace(path: Path, content: bytes) -> None:
    """Replace a file: a crash leaves the previous content or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
