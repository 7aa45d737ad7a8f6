"""Download one file: resume, count, hash, and keep it only when it is what was promised."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
from yarl import URL

from sizeup.errors import CorruptFileError, HubAnswerError
from sizeup.hub.cache import RepositoryCache, content_digest
from sizeup.hub.client import HubClient, TransientError
from sizeup.hub.progress import PullReport
from sizeup.hub.repository import RemoteFile
from sizeup_telemetry.background import in_thread

_PROGRESS_BYTES = 64 << 10
"""Each silence_seconds must bring this much: a hub that trickles is as dead as a silent one."""
_REAL_PROGRESS_BYTES = 8 << 20
"""A connection that breaks after this much does not count as a failed attempt."""


class Download:
    """One file on its way into the cache."""

    def __init__(
        self, client: HubClient, cache: RepositoryCache, file: RemoteFile, report: PullReport
    ) -> None:
        """Prepare; fetch does it."""
        self._client = client
        self._cache = cache
        self._file = file
        self._report = report

    async def fetch(self, url: URL) -> None:
        """Put the whole, verified file into the cache; raises PullError.

        A partial file stays for the next pull when the hub failed, and goes when it is wrong.
        """
        draft = self._cache.draft(self._file)
        try:
            await self._fetch(url, draft)
        except BaseException:
            self._cache.release(draft, self._file)
            raise

    async def _fetch(self, url: URL, draft: Path) -> None:
        begun = _length(draft)
        self._report.resumed(begun)
        for _ in range(2 if begun else 1):  # what an earlier pull began may be at fault
            await self._complete(url, draft)
            if await self._is_right(draft):
                self._cache.keep(draft, self._file)
                return
            self._discard(draft)
        raise CorruptFileError(
            f"{self._file.name}: {url.host} sent other bytes than it promised; deleted"
        )

    async def _is_right(self, draft: Path) -> bool:
        """Read the file back from disk: that is what will be loaded."""
        digest = await in_thread(partial(content_digest, draft, self._file.digest))
        return digest == self._file.digest

    def _discard(self, draft: Path) -> None:
        self._report.resumed(-_length(draft))
        draft.unlink(missing_ok=True)

    async def _complete(self, url: URL, draft: Path) -> None:
        """Fetch what is missing, through as many connections as it takes."""
        if _length(draft) > self._file.size:
            self._discard(draft)
        failures = 0
        while (begun := _begin(draft)) < self._file.size:
            try:
                await self._connection(url, draft, begun)
            except TransientError as error:
                gained = _length(draft) - begun
                failures = 1 if gained >= _REAL_PROGRESS_BYTES else failures + 1
                if failures >= self._client.hub.attempts:
                    raise
                await self._client.pause(failures, error)

    async def _connection(self, url: URL, draft: Path, begun: int) -> None:
        """Append what one answer brings."""
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        async with self._client.open("GET", url, headers) as response:
            resumes = response.status == 206
            if begun and not resumes:  # the whole file instead of its rest
                self._report.resumed(-begun)
                begun = 0
            self._check(response, begun)
            with draft.open("r+b") as out:
                out.truncate(begun)
                out.seek(begun)
                await self._copy(response, out.write, self._file.size - begun)

    def _check(self, response: aiohttp.ClientResponse, begun: int) -> None:
        """Refuse an answer whose headers say that it is not the file."""
        name, length = self._file.name, response.content_length
        if response.content_type == "text/html":
            raise HubAnswerError(f"{name}: {response.host} answered a web page instead of the file")
        if response.status == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(begun):
                raise HubAnswerError(f"{name}: {response.host} answered another range than asked")
        if length is not None and length != self._file.size - begun:
            raise HubAnswerError(
                f"{name}: {response.host} announces {length} bytes, "
                f"not the {self._file.size - begun} promised"
            )

    async def _copy(
        self,
        response: aiohttp.ClientResponse,
        write: Callable[[bytes], int],
        expected: int,
    ) -> None:
        loop, silence = asyncio.get_running_loop(), self._client.hub.silence_seconds
        recent = 0
        async with asyncio.timeout(silence) as deadline:
            async for chunk in response.content.iter_any():
                expected -= len(chunk)
                if expected < 0:
                    raise HubAnswerError(f"{self._file.name}: {response.host} sends too much")
                write(chunk)
                self._report.received(len(chunk))
                recent += len(chunk)
                if recent >= _PROGRESS_BYTES:
                    recent = 0
                    deadline.reschedule(loop.time() + silence)
        if expected:
            raise TransientError(f"{self._file.name}: {response.host} sent {expected} bytes less")


def _begin(draft: Path) -> int:
    """Make the draft if there is none; return its length in bytes."""
    draft.touch()
    return _length(draft)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
