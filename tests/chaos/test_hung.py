"""An inference process that is stopped: its streams end with an error, and it serves again."""

import asyncio
import signal
import time
from collections.abc import Iterator
from itertools import chain

import aiohttp
import pytest

from chaos.deployment import Deployment, deployed
from chaos.streams import PATHS, Response, stream
from system.deployment import wait_until

STREAMS = 6
"""Of each dialect."""
_SETTLE_SECONDS = 30.0
_ENDLESS = 1_000_000


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(
        tmp_path_factory.mktemp("hung"), gateway={"probe_timeout_seconds": 0.5}
    ) as running:
        yield running


async def stopped_midway(deployment: Deployment) -> tuple[list[Response], list[Response]]:
    """Stop the process; return the streams that ran, and what requests after that received."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        firsts = [asyncio.Event() for _ in range(STREAMS * len(PATHS))]
        running = [
            asyncio.create_task(
                stream(http, deployment.gateway, path, _ENDLESS, on_first=first.set)
            )
            for path, first in zip(PATHS * STREAMS, firsts, strict=True)
        ]
        for first in firsts:
            await first.wait()
        deployment.inference.signal(signal.SIGSTOP)
        later = [
            asyncio.create_task(stream(http, deployment.gateway, path, _ENDLESS)) for path in PATHS
        ]
        return await asyncio.gather(*running), await asyncio.gather(*later)


def test_a_stopped_process_ends_its_requests_with_errors_and_serves_again(
    impatient: Deployment, attack_seconds: float
) -> None:
    until = time.monotonic() + attack_seconds
    while True:
        streams, later = asyncio.run(stopped_midway(impatient))
        assert {response.status for response in streams} == {200}
        assert {response.status for response in later} == {502}
        assert all(response.has_error for response in chain(streams, later))
        assert not any(response.is_whole for response in chain(streams, later))
        for path in ("/livez", "/readyz"):
            impatient.get(path)
        impatient.inference.signal(signal.SIGCONT)
        wait_until(impatient.is_serving, "serving", _SETTLE_SECONDS)
        if time.monotonic() >= until:
            return
