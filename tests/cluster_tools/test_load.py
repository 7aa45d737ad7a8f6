"""The load generator records lost requests and attributes requests to the change."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from cluster import load
from cluster.load import LostError, Send, Tally


async def lost(_model: str, _prompt: str) -> None:
    await asyncio.sleep(0)
    raise LostError("cut")


async def completed(_model: str, _prompt: str) -> None:
    await asyncio.sleep(0)


def test_responses_during_the_change_are_counted_by_client(monkeypatch: pytest.MonkeyPatch) -> None:
    has_completed = threading.Event()

    async def recorded(_model: str, _prompt: str) -> None:
        await asyncio.sleep(0)
        has_completed.set()

    @contextlib.asynccontextmanager
    async def clients(_url: str, _number: int) -> AsyncIterator[list[Send]]:
        yield [recorded, lost]

    monkeypatch.setattr(load, "_clients", clients)
    seen_by_change = []
    tally = asyncio.run(
        load.during("", ["small"], lambda: seen_by_change.append(has_completed.wait(30)), 20)
    )
    assert seen_by_change == [True]
    assert tally.overlapped["recorded"] > 0
    assert tally.overlapped["lost"] == 0
    assert tally.completed + len(tally.lost) >= 20
    when, _, what = tally.lost[0].partition(" ")
    assert datetime.fromisoformat(when).tzinfo is not None
    assert what == "lost small: LostError('cut')"


def test_responses_after_the_change_do_not_overlap_it() -> None:
    tally = Tally()

    async def after() -> None:
        changed = asyncio.Event()
        changed.set()
        prompts = itertools.repeat(("small", "Hello"))
        await load._send_repeatedly(completed, prompts, tally, changed, 50)

    asyncio.run(after())
    assert tally.completed == 50
    assert tally.overlapped.total() == 0
