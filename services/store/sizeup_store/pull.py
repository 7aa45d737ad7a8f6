"""Download a model completely and verified, or raise an error and leave nothing loadable."""

import errno
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sizeup_store.cache import RepositoryCache
from sizeup_store.download import Download
from sizeup_store.errors import (
    CorruptFileError,
    DiskError,
    HubUnreachableError,
    InvalidOptionError,
    UnsupportedModelError,
)
from sizeup_store.hub import HubClient, HubOptions, connect
from sizeup_store.markers import expected_sha256, marker_path, write_marker
from sizeup_store.pull_report import PullReport
from sizeup_store.repository import RemoteFile, Repository, describe
from sizeup_store.weights import (
    CONFIG,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    WeightsError,
    check_structure,
    find_model,
    is_commit,
    is_revision,
    read_json,
    refuse_quantization,
    refuse_remote_code,
    shard_names,
    verify,
    weight_names,
)

_POLL_SECONDS = 0.5
_LOCK_SECONDS = 3600.0
"""Timeout of the lock; after it both pulls download, which only costs bandwidth."""
_ABANDONED_SILENCES = 4
"""A partial file not written to for this many silences is abandoned: retries cause pauses.

The processes of other hosts cannot be checked otherwise. A killed pod leaves such a file, and its
replacement starts within seconds: waiting two minutes is cheaper than downloading 40 GB again."""


def pull(
    hub: HubOptions,
    model_id: str,
    revision: str,
    cache: Path,
    report: PullReport,
    *,
    offline: bool = False,
) -> Path:
    """Return the snapshot of a revision once it is complete and verified.

    A complete snapshot is enough if the hub cannot be reached. Raises PullError; what the cache
    had before stays loadable.
    """
    if not is_revision(revision):
        raise InvalidOptionError(f"{revision!r} is not a branch, a tag or a commit")
    try:
        complete = _complete_snapshot(model_id, revision, cache, adopt=offline)
        if complete and (offline or is_commit(revision)):
            report.note(_already_complete(model_id, complete))
            return complete
        if offline:
            raise InvalidOptionError(
                f"{model_id} is not complete in {cache}, and HF_HUB_OFFLINE is set"
            )
        abandoned_seconds = _ABANDONED_SILENCES * hub.silence_seconds
        with connect(hub, report.retry) as client:
            repository_cache = RepositoryCache(cache, model_id, abandoned_seconds)
            return Pull(client, repository_cache, report).run(model_id, revision, complete)
    except OSError as error:
        raise _disk_error(error, cache) from error


def _complete_snapshot(model_id: str, revision: str, cache: Path, *, adopt: bool) -> Path | None:
    """Return the snapshot of an earlier pull, if it is complete and verified.

    One without a completion marker, from another tool, may lack files: it counts only with
    `adopt`, and its weights are read once to verify them.
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


def _already_complete(model_id: str, snapshot: Path) -> str:
    return f"{model_id} at {snapshot.name[:12]} is already complete"


def _disk_error(error: OSError, cache: Path) -> DiskError:
    where = error.filename or cache
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(f"{where} is not writable ({error.strerror}); set --cache or HF_HOME")
    return DiskError(f"{where}: {error.strerror or error}")


class Pull:
    """One model on its way into the cache."""

    def __init__(self, client: HubClient, cache: RepositoryCache, report: PullReport) -> None:
        self._client = client
        self._cache = cache
        self._report = report

    def run(self, model_id: str, revision: str, complete: Path | None) -> Path:
        """Download, verify and publish; `complete` is the result if the hub is unreachable."""
        try:
            client = self._client.without_retries() if complete else self._client
            repository = describe(client, model_id, revision)
        except HubUnreachableError as error:
            if complete is None:
                raise
            self._report.note(f"{error}; {_already_complete(model_id, complete)}")
            return complete
        if complete and self._is_current(repository, complete):
            self._report.note(_already_complete(model_id, complete))
            return complete
        self._cache.prepare()
        with self._exclusive_lock():
            snapshot = self._download(repository)
            self._cache.write_ref(revision, repository.commit)
        return snapshot

    def _is_current(self, repository: Repository, snapshot: Path) -> bool:
        """Return whether a pull would change nothing; the cache may then be read-only."""
        weights = {expected_sha256(snapshot / name) for name in weight_names(snapshot)}
        known = {file.digest for file in repository.files.values()}
        if snapshot.name != repository.commit or not weights <= known:
            return False
        return all(self._cache.has(file) for file in repository.small_files())

    def _download(self, repository: Repository) -> Path:
        small = repository.small_files()
        self._fetch(repository, small)
        weights = repository.weights(self._weight_names(repository))
        files = (*small, *weights)
        self._report.plan(len(files), sum(file.size for file in files))
        self._fetch(repository, weights)
        snapshot = self._cache.link(repository.commit, files)
        try:
            check_structure(snapshot)  # the checksums were verified after each download
        except WeightsError as error:
            raise CorruptFileError(str(error)) from error
        write_marker(snapshot, [snapshot / file.name for file in files])
        self._cache.sweep()
        return snapshot

    def _weight_names(self, repository: Repository) -> tuple[str, ...]:
        """Return the weight files by the downloaded config and index; refuse remote code."""
        files = repository.files
        try:
            config = read_json(self._cache.blob(files[CONFIG]))
            refuse_remote_code(config, f"{repository.id}/{CONFIG}")
            refuse_quantization(config, repository.id)
            if SINGLE_WEIGHTS in files:
                return (SINGLE_WEIGHTS,)
            index = read_json(self._cache.blob(files[WEIGHTS_INDEX]))
            return shard_names(index, f"{repository.id}/{WEIGHTS_INDEX}")
        except WeightsError as error:
            raise UnsupportedModelError(str(error)) from error

    def _fetch(self, repository: Repository, files: Iterable[RemoteFile]) -> None:
        missing = []
        for file in files:
            if self._cache.has(file):
                self._report.verified(file.size)
            else:
                missing.append(file)
        self._wait_for_other_hosts(missing)
        self._cache.require_room(missing)
        for file in missing:
            self._report.file(file.name, file.size)
            Download(self._client, self._cache, repository, file, self._report).run()
            self._report.verified(file.size)

    def _wait_for_other_hosts(self, files: Sequence[RemoteFile]) -> None:
        """Wait until partial files of other hosts are abandoned and can be resumed.

        One that grows although this pull holds the lock belongs to a live process, on a file system
        without effective locks: this pull then downloads its own copy.
        """
        before = now = self._cache.unverified_owners(files)
        if before:
            self._report.note("waiting for a download started by another host")
        deadline = time.monotonic() + self._cache.abandoned_seconds
        while now and now.items() <= before.items() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            now = self._cache.unverified_owners(files)

    @contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Wait for another pull of the same model, up to a limit."""
        with self._cache.lock(self._report.note) as try_lock:
            deadline = time.monotonic() + _LOCK_SECONDS
            locked = try_lock()
            if not locked:
                self._report.note("another pull of this model is running; waiting for it")
            while not locked and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                locked = try_lock()
            yield
