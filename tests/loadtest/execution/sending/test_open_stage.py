"""An open stage is sent part by part, until it is steady or cannot be."""

import asyncio
from dataclasses import replace
from itertools import chain, repeat

import pytest

from loadtest.analysis.stages.test_open_loop import served
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.sending import open_stage
from sizeup_loadtest.execution.sending.worker_pool import WorkerError
from sizeup_loadtest.workload.schedule import Segment, Stage


def sent(rate: float, answer_seconds: float, limit: float = 300) -> list[float]:
    """Return the seconds at which each part of a stage ends, by its last request."""
    records = {r.planned.index: r for r in served(rate, limit, 1)}
    planned = tuple(r.planned for r in records.values())
    stage = Stage("s", "open", rate, "fixed", "poisson")
    segment = Segment(stage, 0, "m", planned, seconds=limit, shortest_seconds=45)
    done: list[Record] = []
    ends: list[float] = []

    async def send(part: Segment, began_ns: int) -> None:
        assert began_ns == 10**15 + 7
        done.extend(records[r.index] for r in part.requests)
        ends.append((part.requests[-1].offset_ns or 0) / 1e9)

    response_ns = round(answer_seconds * 1e9)
    now = chain([10**15], repeat(10**18))  # every part is over when it was sent
    asyncio.run(open_stage.run(segment, send, done, lambda: next(now), response_ns, 7))
    return ends


def test_a_steady_stage_ends_after_its_shortest_time() -> None:
    assert sent(2, 0.82) == [pytest.approx(45, abs=2)]


def test_a_saturated_stage_ends_at_once() -> None:
    assert sent(8, 0.82) == [pytest.approx(45, abs=1)]


def test_slow_answers_take_longer() -> None:
    assert sent(2, 4) == [pytest.approx(120, abs=2)]


def test_a_load_near_capacity_is_sent_on_without_a_gap() -> None:
    first, *more = sent(4.3, 0.82, limit=1200)
    assert first == pytest.approx(45, abs=1)
    assert more
    assert 60 < more[-1] < 1200


def test_a_limit_ends_a_stage() -> None:
    assert sent(2, 40, limit=60) == [pytest.approx(60, abs=2)]


def test_without_requests_nothing_is_sent() -> None:
    stage = Stage("s", "open", 1, "fixed", "poisson")
    empty = Segment(stage, 0, "m", (), seconds=10)
    calls: list[Segment] = []

    async def send(part: Segment, began_ns: int) -> None:
        calls.append(replace(part, block=began_ns))

    asyncio.run(open_stage.run(empty, send, [], lambda: 0, 0, 0))
    assert calls == []


def test_an_error_of_a_part_is_raised_as_it_is() -> None:
    stage = Stage("s", "open", 2, "fixed", "poisson")
    planned = tuple(r.planned for r in served(2, 60, 1))
    segment = Segment(stage, 0, "m", planned, seconds=60, shortest_seconds=45)

    async def lost(part: Segment, began_ns: int) -> None:
        raise WorkerError("worker 1 of 2 ended")

    with pytest.raises(WorkerError):
        asyncio.run(open_stage.run(segment, lost, [], lambda: 0, 0, 0))
