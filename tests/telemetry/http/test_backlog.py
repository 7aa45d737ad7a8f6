"""Requests that exceed what can be served are refused before the application sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from starlette.types import Message, Receive, Scope, Send

from sizeup_telemetry.http.backlog import Backlog, leave
from sizeup_telemetry.http.refusal import Header
from telemetry.http.serving import DEADLINE_SECONDS, LIMITS, read_response, request, served

COUNTED = "/counted"
POST = request(f"POST {COUNTED}", body=b"{}")


class Application:
    """Requests of COUNTED wait for `release`; they leave the backlog if `leaves`."""

    def __init__(self, *, leaves: bool = False) -> None:
        self.leaves = leaves
        self.running = 0
        self.release = asyncio.Event()

    def runs(self, count: int) -> bool:
        return self.running == count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = await receive()
        while message.get("more_body"):
            message = await receive()
        if scope["path"] == COUNTED:
            self.running += 1
            if self.leaves:
                leave(scope)
            await self.release.wait()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body"})


class Client:
    """Opens a connection for each request."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self._port = port
        self._stack = stack

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._stack.callback(_abort, writer)
        return reader, writer

    async def send(self, data: bytes) -> asyncio.StreamReader:
        reader, writer = await self.connect()
        writer.write(data)
        return reader

    async def status(self, data: bytes) -> int:
        return await status_of(await self.send(data))


def _abort(writer: asyncio.StreamWriter) -> None:
    """Keeps the writer until then: without it, the connection closes."""
    writer.transport.abort()


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


def run(
    scenario: Callable[[Client, Application], Awaitable[None]],
    room: Callable[[], int],
    *,
    leaves: bool = False,
) -> None:
    async def whole() -> None:
        app = Application(leaves=leaves)
        backlog = Backlog(lambda path: path == COUNTED, room, by_key)
        async with AsyncExitStack() as stack, served(LIMITS, app=app, backlog=backlog) as port:
            await scenario(Client(port, stack), app)
            app.release.set()

    asyncio.run(asyncio.wait_for(whole(), DEADLINE_SECONDS))


def by_key(headers: Sequence[Header], _peer: str) -> str:
    return str(dict(headers).get(b"x-api-key"))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # bounded by `run`
        await asyncio.sleep(0)


def test_what_exceeds_the_room_is_refused_and_what_has_ended_leaves() -> None:
    async def scenario(client: Client, app: Application) -> None:
        waiting = await client.send(POST)
        await until(lambda: app.running == 1)
        assert await client.status(POST) == 503
        app.release.set()
        assert await status_of(waiting) == 200
        assert await client.status(POST) == 200

    run(scenario, lambda: 1)


def test_a_request_with_a_place_of_its_own_leaves() -> None:
    async def scenario(client: Client, app: Application) -> None:
        for count in (1, 2, 3):
            await client.send(POST)
            await until(partial(app.runs, count))

    run(scenario, lambda: 1, leaves=True)


def test_a_refused_connection_serves_the_next_request() -> None:
    room = 0

    async def scenario(client: Client, app: Application) -> None:
        nonlocal room
        app.release.set()
        reader, writer = await client.connect()
        writer.write(POST)
        assert await status_of(reader) == 503
        assert b"error" in await read_response(reader)
        room = 1
        writer.write(POST)
        assert await status_of(reader) == 200

    run(scenario, lambda: room)


def test_other_paths_are_not_counted() -> None:
    async def scenario(client: Client, _app: Application) -> None:
        assert await client.status(request("GET /livez")) == 200
        assert await client.status(request("POST /other", body=b"{}")) == 200
        assert await client.status(POST) == 503

    run(scenario, lambda: 0)


def test_an_incomplete_body_is_not_counted() -> None:
    async def scenario(client: Client, app: Application) -> None:
        app.release.set()
        for _ in range(3):
            await client.send(POST[:-1])
        assert await client.status(POST) == 200

    run(scenario, lambda: 1)


def test_a_disconnected_client_leaves() -> None:
    async def scenario(client: Client, app: Application) -> None:
        _, writer = await client.connect()
        writer.write(POST)
        await until(lambda: app.running == 1)
        writer.transport.abort()
        statuses = []
        while 200 not in statuses:
            app.release.set()
            statuses.append(await client.status(POST))

    run(scenario, lambda: 1)


def test_a_flood_of_one_client_leaves_room_for_another() -> None:
    async def scenario(client: Client, app: Application) -> None:
        for _ in range(20):
            await client.send(POST)
        await until(lambda: app.running == 14)
        other = request(f"POST {COUNTED}", "X-Api-Key: other\r\n", b"{}")
        await client.send(other)
        await until(lambda: app.running == 15)
        assert await client.status(POST) == 503

    run(scenario, lambda: 16)
