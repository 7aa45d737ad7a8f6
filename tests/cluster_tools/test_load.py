"""The account of a load: nothing that was lost is hidden, and it was there during the change."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator

import pytest

from cluster import load
from cluster.load import Ask, LostError, Tally


async def lost(_model: str, _prompt: str) -> None:
    await asyncio.sleep(0)
    raise LostError("cut")


async def answered(_model: str, _prompt: str) -> None:
    await asyncio.sleep(0)


def test_answers_during_a_change_are_counted_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    has_answered = threading.Event()

    async def noted(_model: str, _prompt: str) -> None:
        await asyncio.sleep(0)
        has_answered.set()

    @contextlib.asynccontextmanager
    async def people(_url: str) -> AsyncIterator[list[Ask]]:
        yield [noted, lost]

    monkeypatch.setattr(load, "_people", people)
    change_sees_answers = []
    tally = asyncio.run(
        load.during("", ["small"], lambda: change_sees_answers.append(has_answered.wait(30)), 20)
    )
    assert change_sees_answers == [True]
    assert tally.overlapped["noted"] > 0
    assert tally.overlapped["lost"] == 0
    assert tally.answered + len(tally.lost) >= 20
    assert tally.lost[0] == "lost small: LostError('cut')"


def test_answers_after_the_change_are_not_among_those_during_it() -> None:
    tally = Tally()

    async def after() -> None:
        changed = asyncio.Event()
        changed.set()
        questions = itertools.repeat(("small", "Hello"))
        await load._ask_on(answered, questions, tally, changed, 50)

    asyncio.run(after())
    assert tally.answered == 50
    assert tally.overlapped.total() == 0
