"""`sizeup pull`: a whole model, verified, or an error and nothing that would load."""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from sizeup.errors import CorruptFileError, DiskError, UnsuitableModelError, UsageError
from sizeup.hub.cache import RepositoryCache
from sizeup.hub.client import Hub, HubClient, connect
from sizeup.hub.download import Download
from sizeup.hub.repository import RemoteFile, Repository, describe, file_url
from sizeup_inference.weights import (
    CONFIG,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    WeightsError,
    find_model,
    is_commit,
    is_revision,
    marker_path,
    read_json,
    refuse_remote_code,
    shard_names,
    verify,
)

_LOCK_POLL_SECONDS = 0.5
_LOCK_SECONDS = 3600.0
"""Then this pull goes on beside the other one, which costs bandwidth and harms nothing."""
_PATIENCE = 4
"""A draft nobody wrote to for this many silences is abandoned: a live one may pause for a retry."""


class PullReport(Protocol):
    """Shows how far a pull is."""

    def note(self, line: str) -> None:
        """Show a line that stays."""

    def file(self, name: str, size: int) -> None:
        """Show that a file of this many bytes begins."""

    def advance(self, size: int) -> None:
        """Move the bar of the present file by bytes, back when negative."""


async def pull(hub: Hub, model_id: str, revision: str, cache: Path, report: PullReport) -> Path:
    """Return the snapshot of a revision once it is complete and verified.

    Raises PullError or UsageError; whatever was there before and is right stays.
    """
    if not is_revision(revision):
        raise UsageError(f"{revision!r} is not a branch, a tag or a commit")
    if is_commit(revision) and (
        whole := await asyncio.to_thread(_whole, model_id, revision, cache)
    ):
        report.note(f"{model_id} at {revision[:12]} is already complete")
        return whole
    patience_seconds = _PATIENCE * hub.silence_seconds
    try:
        async with connect(hub) as client:
            folder = RepositoryCache(cache, model_id, patience_seconds)
            return await Pull(client, folder, report).run(model_id, revision)
    except OSError as error:
        raise _disk_error(error, cache) from error


def _whole(model_id: str, commit: str, cache: Path) -> Path | None:
    """Return the snapshot of a commit that an earlier pull finished: it needs no network."""
    try:
        snapshot = find_model(model_id, commit, cache)
        verify(snapshot)
    except WeightsError:
        return None
    return snapshot if marker_path(snapshot).is_file() else None


def _disk_error(error: OSError, cache: Path) -> DiskError:
    where = error.filename or cache
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(f"{where} cannot be written ({error.strerror}); try --cache or HF_HOME")
    return DiskError(f"{where}: {error.strerror or error}")


class Pull:
    """One model on its way into the cache."""

    def __init__(self, client: HubClient, cache: RepositoryCache, report: PullReport) -> None:
        """Prepare; run does it."""
        self._client = client
        self._cache = cache
        self._report = report

    async def run(self, model_id: str, revision: str) -> Path:
        """Download, verify and publish."""
        repository = await describe(self._client, model_id, revision)
        self._cache.prepare()
        async with self._alone():
            small = repository.small_files()
            await self._fetch(repository, small)
            weights = repository.weights(self._weight_names(repository))
            await self._fetch(repository, weights)
            snapshot = self._cache.link(repository.commit, (*small, *weights))
            await asyncio.to_thread(_require_loadable, snapshot)
            self._cache.point(revision, repository.commit)
        return snapshot

    def _weight_names(self, repository: Repository) -> tuple[str, ...]:
        """Return the weight files, once config and index are here; refuse what needs code."""
        files = repository.files
        try:
            config = read_json(self._cache.blob(files[CONFIG]))
            refuse_remote_code(config, f"{repository.id}/{CONFIG}")
            if SINGLE_WEIGHTS in files:
                return (SINGLE_WEIGHTS,)
            index = read_json(self._cache.blob(files[WEIGHTS_INDEX]))
            return shard_names(index, f"{repository.id}/{WEIGHTS_INDEX}")
        except WeightsError as error:
            raise UnsuitableModelError(str(error)) from error

    async def _fetch(self, repository: Repository, files: Iterable[RemoteFile]) -> None:
        missing = [f for f in files if not await asyncio.to_thread(self._cache.has, f)]
        self._cache.require_room(missing)
        for file in missing:
            self._report.file(file.name, file.size)
            url = file_url(self._client, repository.id, repository.commit, file.name)
            await Download(self._client, self._cache, file, url).fetch(self._report.advance)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let another pull of the same model finish first, for as long as that is sensible."""
        with self._cache.lock() as try_lock:
            deadline = time.monotonic() + _LOCK_SECONDS
            told = False
            while not try_lock() and time.monotonic() < deadline:
                if not told:
                    self._report.note("another pull of this model is running; waiting for it")
                    told = True
                await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield


def _require_loadable(snapshot: Path) -> None:
    try:
        verify(snapshot)
    except WeightsError as error:
        raise CorruptFileError(str(error)) from error
