"""Download one file: resume, count, verify its checksum, and keep it only if it matches."""

from dataclasses import dataclass
from pathlib import Path

import httpx2

from sizeup_store.cache import RepositoryCache, content_digest, size_of
from sizeup_store.errors import CorruptFileError, HubResponseError
from sizeup_store.hub import HubClient
from sizeup_store.hub_http import TransientError
from sizeup_store.pull_report import PullReport
from sizeup_store.repository import RemoteFile, Repository

_REAL_PROGRESS_BYTES = 8 << 20
"""A connection that breaks after this much does not count as a failed attempt."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file of a repository on its way into the cache."""

    client: HubClient
    cache: RepositoryCache
    repository: Repository
    file: RemoteFile
    report: PullReport

    def run(self) -> None:
        """Add the complete, verified file to the cache; raises PullError.

        After a failure of the hub the partial file stays for the next pull to resume; a file with
        a wrong checksum is deleted.
        """
        partial = self.cache.partial_file(self.file)
        try:
            self._download(partial)
        except BaseException:
            self.cache.release(partial, self.file)
            raise

    def _download(self, partial: Path) -> None:
        resumed = size_of(partial)
        self.report.resumed(resumed)
        for _ in range(2 if resumed else 1):  # the resumed bytes may be the wrong ones
            self._complete(partial)
            # Read back from disk: these are the bytes that will be loaded.
            digest = content_digest(partial, self.file.digest)
            if digest == self.file.digest:
                self.cache.add(partial, self.file)
                return
            self._discard(partial)
        raise CorruptFileError(
            f"{self.file.name}: checksum mismatch: expected {self.file.digest}, got {digest}; "
            "deleted"
        )

    def _discard(self, partial: Path) -> None:
        self.report.resumed(-size_of(partial))
        partial.unlink(missing_ok=True)

    def _complete(self, partial: Path) -> None:
        """Download the missing bytes over as many connections as it takes."""
        if size_of(partial) > self.file.size:
            self._discard(partial)
        partial.touch()
        failures = 0
        while (begin := size_of(partial)) < self.file.size:
            try:
                self._append(partial, begin)
            except TransientError as error:
                gained = size_of(partial) - begin
                failures = 1 if gained >= _REAL_PROGRESS_BYTES else failures + 1
                if failures >= self.client.options.attempts:
                    raise
                # The time of the last write shows other hosts that its owner is alive.
                self.client.back_off(failures, error, partial.touch)

    def _append(self, partial: Path, begin: int) -> None:
        repository, name = self.repository, self.file.name
        with self.client.open_file(repository.id, repository.commit, name, begin) as response:
            if begin and response.status_code != 206:  # the server ignores Range
                self.report.resumed(-begin)
                begin = 0
            self._check(response, begin)
            with partial.open("r+b") as out:
                out.truncate(begin)
                out.seek(begin)
                expected = self.file.size - begin
                for chunk in response.iter_raw():
                    expected -= len(chunk)
                    if expected < 0:
                        raise HubResponseError(f"{name}: {self.client.host} sent too many bytes")
                    out.write(chunk)
                    self.report.received(len(chunk))
        if expected:
            raise TransientError(f"{name}: {self.client.host} sent {expected} bytes too few")

    def _check(self, response: httpx2.Response, begin: int) -> None:
        """Reject a response whose headers do not match the file."""
        name, host, expected = self.file.name, response.url.host, self.file.size - begin
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise HubResponseError(f"{name}: {host} returned an HTML page instead of the file")
        if response.status_code == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(begin):
                raise HubResponseError(f"{name}: {host} returned another range than requested")
        length = response.headers.get("Content-Length", str(expected))
        if length != str(expected):
            raise HubResponseError(f"{name}: Content-Length is {length}, expected {expected}")
