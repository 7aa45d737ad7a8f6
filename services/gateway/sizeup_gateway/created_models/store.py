"""Where created models are stored: one text that several gateways read and write."""

import asyncio
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from sizeup_gateway.cluster.api import ClusterError, ConflictError
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.created_models.document import MAX_BYTES

KEY = "created-models.json"
"""Of the ConfigMap's data."""


class StoreError(Exception):
    """The store cannot be read or written; the message says why."""


class StoreConflictError(StoreError):
    """The text has changed since it was read."""


@dataclass(frozen=True, slots=True)
class Stored:
    text: str
    """Empty if nothing has been stored yet."""
    version: str
    """A write succeeds only while it is the latest."""
    watch_version: str
    """Of what `wait` waits for a change."""


class Store(Protocol):
    """Every method raises StoreError."""

    async def read(self) -> Stored: ...

    async def write(self, text: str, version: str) -> None:
        """Replace the text; raise StoreConflictError if the version is not the latest."""

    async def wait(self, watch_version: str) -> None:
        """Wait until the text may have changed."""


class ConfigMapStore:
    """For all gateways of a release."""

    def __init__(self, cluster: ClusterClient, name: str) -> None:
        self._cluster = cluster
        self._name = name

    async def read(self) -> Stored:
        try:
            found = await self._cluster.read_config_map(self._name)
        except ClusterError as error:
            raise StoreError(str(error)) from error
        return Stored(found.data.get(KEY, ""), found.version, found.watch_version)

    async def write(self, text: str, version: str) -> None:
        try:
            await self._cluster.write_config_map(self._name, {KEY: text}, version)
        except ConflictError as error:
            raise StoreConflictError(str(error)) from error
        except ClusterError as error:
            raise StoreError(str(error)) from error

    async def wait(self, watch_version: str) -> None:
        try:
            await self._cluster.wait_for_config_map(self._name, watch_version)
        except ClusterError as error:
            raise StoreError(str(error)) from error


class FileStore:
    """For the processes of one machine. Writes atomically; a file beside serializes the writers."""

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
