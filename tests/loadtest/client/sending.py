"""Send one request to a fake server."""

import asyncio
from collections.abc import Mapping
from typing import Any

from loadtest.fake_server import (
    FakeServer,
    ReceivedRequest,
    Response,
    fake_server,
)
from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api, Length, PlannedRequest, Record
from sizeup_loadtest.execution.sending.clock import Clock
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt

PROMPT = Prompt("p", (ChatMessage("system", "Be brief."), ChatMessage("user", "你好")))


def request(length: Length = "until_eos", keep_text: bool = True) -> Request:
    planned = PlannedRequest(0, 0, "m", "p", 16, length, None)
    return Request("closed-1", planned, PROMPT, scheduled_ns=0, keep_text=keep_text)


async def one(
    fake: FakeServer,
    api: Api = "openai",
    sent: Request | None = None,
    sampling: Sampling | None = None,
    seconds: float = 10,
    key: str | None = None,
    extra_body: Mapping[str, object] | None = None,
) -> Record:
    server = Server(fake.url, "m", api, key, extra_body=extra_body or {}, timeout_seconds=seconds)
    async with Client({"m": server}, sampling or Sampling(), Clock()) as client:
        return await client.send(sent or request())


def send(response: Response, api: Api = "openai", **options: Any) -> Record:
    async def run() -> Record:
        async with fake_server(chat=response, ollama=response) as fake:
            return await one(fake, api, **options)

    return asyncio.run(run())


def received(api: Api = "openai", **options: Any) -> ReceivedRequest:
    async def run() -> ReceivedRequest:
        async with fake_server() as fake:
            await one(fake, api, **options)
            return fake.requests[0]

    return asyncio.run(run())
