"""Far more requests than the model has places: some are served, all others refused in shape."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from itertools import cycle

import aiohttp
import pytest

from chaos.deployment import Deployment, deployed
from chaos.streams import PATHS, stream

CLIENTS = 64
CAPACITY = 8
"""Places of the replica, an eighth of the clients."""
TOKENS = 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    places = {"max_num_seqs": CAPACITY // 2, "max_waiting": CAPACITY // 2}
    with deployed(tmp_path_factory.mktemp("overload"), inference=places) as running:
        yield running


async def flood(deployment: Deployment, seconds: float) -> Counter[str]:
    """Send requests with every client as fast as it is answered; return the outcomes."""
    outcomes: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    paths = cycle(PATHS)

    async def client(http: aiohttp.ClientSession) -> None:
        while loop.time() < until:
            response = await stream(http, deployment.gateway, next(paths), TOKENS)
            assert response.is_whole or response.is_refusal, response
            outcomes["whole" if response.is_whole else "refused"] += 1

    async with _session() as http, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client(http))
        group.create_task(probe(http, deployment, until))
    return outcomes


async def probe(http: aiohttp.ClientSession, deployment: Deployment, until: float) -> None:
    """Assert that the gateway lives and its model is ready."""
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        for path in ("/livez", "/readyz", "/health"):
            async with http.get(deployment.gateway.url + path) as response:
                assert response.status == 200, path
                text = await response.text()
        assert json.loads(text)["replicas_ready"] == {"chaos": 1}
        await asyncio.sleep(0.05)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
    )


def test_what_is_not_served_is_refused_in_shape(small: Deployment, attack_seconds: float) -> None:
    outcomes = asyncio.run(flood(small, attack_seconds))
    print(outcomes)
    assert outcomes["whole"] > CAPACITY
    assert outcomes["refused"] > CLIENTS
    assert small.is_serving()


def test_a_single_client_is_served_after_it(small: Deployment, attack_seconds: float) -> None:
    asyncio.run(flood(small, attack_seconds / 2))

    async def one_at_a_time() -> None:
        async with _session() as http:
            for path in PATHS * 3:
                assert (await stream(http, small.gateway, path, TOKENS)).is_whole

    asyncio.run(one_at_a_time())
