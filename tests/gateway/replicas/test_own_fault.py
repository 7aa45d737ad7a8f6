"""Failed connections for which the gateway itself is the cause."""

import asyncio
import errno
from typing import Any

import aiohttp
import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import KEY, MODEL, running_gateway, until
from sizeup_gateway.replicas.inference_client import is_own_fault

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False}


def refused(number: int) -> aiohttp.ClientConnectorError:
    key: Any = aiohttp.client_reqrep.ConnectionKey("h", 1, False, True, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(number, "x"))


@pytest.mark.parametrize(
    ("number", "own"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.EADDRNOTAVAIL, True),
        (errno.ECONNREFUSED, False),
        (errno.EHOSTUNREACH, False),
    ],
)
def test_want_of_descriptors_memory_and_ports_is_the_gateways(number: int, *, own: bool) -> None:
    assert is_own_fault(refused(number)) == own


def test_want_of_descriptors_ejects_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            with monkeypatch.context() as patch:
                failures = []

                async def exhausted(*_: object, **__: object) -> aiohttp.ClientResponse:
                    failures.append(1)
                    raise refused(errno.EMFILE)

                patch.setattr(aiohttp.ClientSession, "_request", exhausted)
                await until(lambda: len(failures) > 3)
                assert gateway.sample("replicas_ready", model=KEY) == 1
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
            assert gateway.sample("replicas_ready", model=KEY) == 1

    asyncio.run(scenario())
