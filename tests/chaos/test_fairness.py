"""One client with hundreds of requests at a time beside one that sends them one by one."""

import asyncio
from collections.abc import Iterator
from itertools import cycle

import aiohttp
import pytest

from chaos.deployment import Deployment, deployed
from chaos.streams import PATHS, stream

GREEDY, POLITE = "greedy-key", "polite-key"
IN_FLIGHT = 300
SLOTS = 4
TOKENS = 10
OTHERS = 10 * SLOTS
"""Requests of the greedy client that may end while one of the other is served: it waits for a slot,
runs beside a slot's worth of others at a time, and both ends notice it late; in order of arrival
it would be some 300."""
TOKEN_SECONDS = 0.01
"""So slow that neither the gateway nor the clients are what a request waits for."""
_REQUESTS_PER_SECOND = 5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("fairness")
    engine = {"max_num_seqs": SLOTS, "max_waiting": 508, "fake_token_seconds": TOKEN_SECONDS}
    with deployed(folder, inference=engine, keys=(GREEDY, POLITE)) as running:
        yield running


class Clients:
    def __init__(self, deployment: Deployment, http: aiohttp.ClientSession) -> None:
        self._gateway = deployment.gateway
        self._http = http
        self._paths = cycle(PATHS)
        self.ended = 0
        """Of the greedy client."""
        self.queue_is_full = asyncio.Event()
        self.others: list[int] = []
        """How many ended beside each request of the polite one."""

    async def send(self, key: str) -> None:
        response = await stream(self._http, self._gateway, next(self._paths), TOKENS, key)
        assert response.is_whole, response

    async def greedy(self) -> None:
        while True:
            await self.send(GREEDY)
            self.ended += 1
            self.queue_is_full.set()  # all of its requests are sent before the first one ends

    async def polite(self, requests: int) -> None:
        await self.queue_is_full.wait()
        for _ in range(requests):
            before = self.ended
            await self.send(POLITE)
            self.others.append(self.ended - before)


async def compete(deployment: Deployment, requests: int) -> Clients:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        clients = Clients(deployment, http)
        tasks = [asyncio.create_task(clients.greedy()) for _ in range(IN_FLIGHT)]
        polite = asyncio.create_task(clients.polite(requests))
        try:
            await asyncio.wait({polite, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            failed = [task for task in tasks if task.done()]
            assert not failed, failed[0].exception()
            await polite
        finally:
            for task in (polite, *tasks):
                task.cancel()
            await asyncio.gather(polite, *tasks, return_exceptions=True)
    return clients


def test_a_polite_client_waits_for_few_requests_of_another(
    shared: Deployment, attack_seconds: float
) -> None:
    clients = asyncio.run(compete(shared, max(10, round(attack_seconds * _REQUESTS_PER_SECOND))))
    print(f"ended beside each: {sorted(clients.others)}")
    assert max(clients.others) <= OTHERS
    assert shared.is_serving()
