"""Batches of events from a connection to a replica."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from gateway.fake_inference import finished, started
from sizeup_gateway.replicas import event_stream
from sizeup_gateway.replicas.event_stream import LOST, TIMEOUT, EventStream
from sizeup_gateway.replicas.link import Link
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text, event_adapter

LONG = 60.0
"""Seconds; no test waits for them."""


@dataclass
class Scene:
    content: aiohttp.StreamReader
    link: Link
    stream: EventStream[Event]

    def feed(self, *events: Event | bytes) -> None:
        for event in events:
            line = event if isinstance(event, bytes) else event.model_dump_json().encode() + b"\n"
            self.content.feed_data(line)

    async def read(self, seconds: float = LONG) -> Sequence[Event]:
        return await self.stream.read(seconds)


def reading(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        protocol.connection_made(asyncio.Transport())
        content = aiohttp.StreamReader(protocol, 2**16, loop=loop)
        link = Link()
        stream = EventStream[Event](content, event_adapter, link)
        try:
            await scenario(Scene(content, link, stream))
        finally:
            stream.close()

    asyncio.run(run())


def test_events_that_arrive_together_are_one_batch() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feed(started(), Text(text="a"), Text(text="b"))
        assert await scene.read() == [started(), Text(text="a"), Text(text="b")]
        scene.feed(finished(2))
        assert await scene.read() == [finished(2)]

    reading(scenario)


def test_an_event_in_two_pieces_is_read_once_it_is_whole() -> None:
    async def scenario(scene: Scene) -> None:
        line = Text(text="ab").model_dump_json().encode()
        scene.feed(started(), line[:9])
        assert await scene.read() == [started()]
        pending = asyncio.create_task(scene.stream.read(LONG))
        scene.feed(line[9:])
        await asyncio.sleep(0)
        assert not pending.done()
        scene.feed(b"\n")
        assert await pending == [Text(text="ab")]

    reading(scenario)


@pytest.mark.parametrize("bad", [b"no json\n", b'{"event":"unknown"}\n', b"\n"])
def test_a_malformed_line_ends_the_batch_and_those_before_it_are_kept(bad: bytes) -> None:
    async def scenario(scene: Scene) -> None:
        scene.feed(started(), Text(text="a"), bad, Text(text="after"))
        *good, failed = await scene.read()
        assert good == [started(), Text(text="a")]
        assert isinstance(failed, Failed)
        assert failed.code is ErrorCode.INTERNAL

    reading(scenario)


def test_a_truncated_line_is_dropped() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feed(started(), b'{"event":"text","te')
        scene.content.feed_eof()
        assert await scene.read() == [started()]
        assert await scene.read() == [LOST]

    reading(scenario)


def test_a_connection_that_breaks_is_lost() -> None:
    async def scenario(scene: Scene) -> None:
        pending = asyncio.create_task(scene.stream.read(LONG))
        await asyncio.sleep(0)
        scene.content.set_exception(aiohttp.ClientPayloadError())
        assert await pending == [LOST]

    reading(scenario)


def test_a_line_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_LINE_BYTES", 100)

    async def scenario(scene: Scene) -> None:
        scene.feed(started(), b"x" * 60)
        assert await scene.read() == [started()]
        scene.feed(b"x" * 60)
        (failed,) = await scene.read()
        assert isinstance(failed, Failed)
        assert failed.code is ErrorCode.INTERNAL

    reading(scenario)


def test_silence_is_a_timeout() -> None:
    async def scenario(scene: Scene) -> None:
        assert await scene.read(0.001) == [TIMEOUT]

    reading(scenario)


def test_a_shorter_limit_counts_from_its_own_read_and_a_longer_one_moves_the_timer() -> None:
    async def scenario(scene: Scene) -> None:
        scene.feed(started())
        assert await scene.read(0.001) == [started()]
        pending = asyncio.create_task(scene.stream.read(LONG))
        after_the_first = asyncio.Event()
        asyncio.get_running_loop().call_later(0.002, after_the_first.set)
        await after_the_first.wait()
        scene.feed(Text(text="late"))
        assert await pending == [Text(text="late")]
        assert await scene.read(0.001) == [TIMEOUT]

    reading(scenario)


def test_an_interrupted_read_ends_as_lost_and_one_with_data_does_not() -> None:
    async def scenario(scene: Scene) -> None:
        scene.stream.interrupt()  # nothing is read
        scene.feed(started())
        assert await scene.read() == [started()]
        pending = asyncio.create_task(scene.stream.read(LONG))
        await asyncio.sleep(0)
        scene.stream.interrupt()
        (failed,) = await pending
        assert isinstance(failed, Failed)
        assert failed.code is ErrorCode.UPSTREAM_LOST

    reading(scenario)


def test_data_is_noted_as_a_sign_of_life() -> None:
    async def scenario(scene: Scene) -> None:
        scene.link.heard_at = 0.0
        scene.feed(started())
        await scene.read()
        assert scene.link.heard_at > 0.0

    reading(scenario)


def test_what_is_in_progress_is_interrupted_once_and_counted() -> None:
    async def scenario(scene: Scene) -> None:
        ended: list[str] = []
        with scene.link.interruptible(lambda: ended.append("a")):
            with scene.link.interruptible(lambda: ended.append("b")):
                assert scene.link.interrupt() == 2
            assert scene.link.interrupt() == 1
        assert scene.link.interrupt() == 0
        assert sorted(ended) == ["a", "a", "b"]
        assert scene.link.interruptions == 3

    reading(scenario)
