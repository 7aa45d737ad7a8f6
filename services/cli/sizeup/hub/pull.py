"""`sizeup pull`: a whole model, verified, or an error and nothing that would load."""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from sizeup.errors import (
    CorruptFileError,
    DiskError,
    HubUnreachableError,
    UnsuitableModelError,
    UsageError,
)
from sizeup.hub.cache import RepositoryCache
from sizeup.hub.client import Hub, HubClient, connect
from sizeup.hub.download import Download
from sizeup.hub.progress import PullReport
from sizeup.hub.repository import RemoteFile, Repository, describe, file_url
from sizeup_store.weights import (
    CONFIG,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    WeightsError,
    check_structure,
    find_model,
    is_commit,
    is_revision,
    marker_path,
    promised_sha256,
    read_json,
    refuse_remote_code,
    shard_names,
    verify,
    weight_names,
    write_marker,
)
from sizeup_telemetry.background import in_thread

_LOCK_POLL_SECONDS = 0.5
_LOCK_SECONDS = 3600.0
"""Then this pull goes on beside the other one, which costs bandwidth and harms nothing."""
_PATIENCE = 4
"""A draft nobody wrote to for this many silences is abandoned: a live one may pause for a retry.

Drafts of other hosts have no other sign of death. A pull that was killed leaves one; the next is
there in seconds, and to wait for two minutes is cheaper than to begin a model of 40 GB anew."""


async def pull(
    hub: Hub,
    model_id: str,
    revision: str,
    cache: Path,
    report: PullReport,
    *,
    offline: bool = False,
) -> Path:
    """Return the snapshot of a revision once it is complete and verified.

    One that is complete already is enough where the hub cannot be asked for a newer one. Raises
    PullError or UsageError; whatever was there before and is right stays.
    """
    if not is_revision(revision):
        raise UsageError(f"{revision!r} is not a branch, a tag or a commit")
    try:
        whole = await in_thread(partial(_whole, model_id, revision, cache, adopt=offline))
        if whole and (offline or is_commit(revision)):
            report.note(f"{model_id} at {whole.name[:12]} is already complete")
            return whole
        if offline:
            raise UsageError(f"{model_id} is not complete in {cache}, and HF_HUB_OFFLINE is set")
        patience_seconds = _PATIENCE * hub.silence_seconds
        async with connect(hub, report.retry) as client:
            folder = RepositoryCache(cache, model_id, patience_seconds)
            return await Pull(client, folder, report).run(model_id, revision, whole)
    except OSError as error:
        raise _disk_error(error, cache) from error


def _whole(model_id: str, revision: str, cache: Path, *, adopt: bool) -> Path | None:
    """Return the snapshot that an earlier pull finished.

    What another tool has put there counts only when it is adopted: nobody has said that all its
    files came, and its weights are read once to see that they are right.
    """
    try:
        snapshot = find_model(model_id, revision, cache)
        if marker_path(snapshot).is_file() or adopt:
            verify(snapshot)
    except WeightsError:
        return None
    if marker_path(snapshot).is_file():
        return snapshot
    if adopt:
        write_marker(snapshot, [snapshot / name for name in weight_names(snapshot)])
    return snapshot if adopt else None


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

    async def run(self, model_id: str, revision: str, whole: Path | None) -> Path:
        """Download, verify and publish, unless the hub is away and a whole snapshot is here."""
        try:
            client = self._client.impatient() if whole else self._client
            repository = await describe(client, model_id, revision)
        except HubUnreachableError as error:
            if whole is None:
                raise
            self._report.note(f"{error}; {model_id} at {whole.name[:12]} is already complete")
            return whole
        if whole and await self._is_here(repository, whole):
            self._report.note(f"{model_id} at {whole.name[:12]} is already complete")
            return whole
        self._cache.prepare()
        async with self._alone():
            snapshot = await self._bring(repository)
            self._cache.point(revision, repository.commit)
        return snapshot

    async def _is_here(self, repository: Repository, whole: Path) -> bool:
        """Tell whether a pull would change nothing: it then need not be able to write."""
        weights = {promised_sha256(whole / name) for name in weight_names(whole)}
        promised = {file.digest for file in repository.files.values()}
        if whole.name != repository.commit or not weights <= promised:
            return False
        small = repository.small_files()
        return all([await in_thread(partial(self._cache.has, file)) for file in small])

    async def _bring(self, repository: Repository) -> Path:
        small = repository.small_files()
        await self._fetch(repository, small)
        weights = repository.weights(self._weight_names(repository))
        files = (*small, *weights)
        self._report.plan(len(files), sum(file.size for file in files))
        await self._fetch(repository, weights)
        snapshot = self._cache.link(repository.commit, files)
        _require_loadable(snapshot)
        write_marker(snapshot, [snapshot / file.name for file in files])
        self._cache.sweep()
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
        missing = []
        for file in files:
            if await in_thread(partial(self._cache.has, file)):
                self._report.kept(file.size)
            else:
                missing.append(file)
        await self._until_settled(missing)
        self._cache.require_room(missing)
        for file in missing:
            self._report.file(file.name, file.size)
            url = file_url(self._client, repository.id, repository.commit, file.name)
            await Download(self._client, self._cache, file, self._report).fetch(url)
            self._report.kept(file.size)

    async def _until_settled(self, files: Sequence[RemoteFile]) -> None:
        """Wait until what was begun elsewhere is abandoned, and can be gone on with.

        A draft that grows although this pull has the lock is that of a live process, on a file
        system whose locks are good for nothing: this pull then downloads beside it.
        """
        begun = now = self._cache.doubtful(files)
        if begun:
            self._report.note("a download was begun elsewhere; waiting to see whether it goes on")
        deadline = time.monotonic() + self._cache.patience_seconds
        while now and now.items() <= begun.items() and time.monotonic() < deadline:
            await asyncio.sleep(_LOCK_POLL_SECONDS)
            now = self._cache.doubtful(files)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let another pull of the same model finish first, for as long as that is sensible."""
        with self._cache.lock(self._report.note) as try_lock:
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
        check_structure(snapshot)  # the bytes were compared when they came
    except WeightsError as error:
        raise CorruptFileError(str(error)) from error
