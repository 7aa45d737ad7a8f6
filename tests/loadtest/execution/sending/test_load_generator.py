"""Closed and open loop, with a sender that the test controls."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from sizeup_loadtest.analysis.validity import lag_of, send_lag
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler, sample_loop_lag
from sizeup_loadtest.execution.sending.clock import Clock
from sizeup_loadtest.execution.sending.load_generator import (
    SendContext,
    Share,
    keep_all,
    preload,
    run_segment,
)
from sizeup_loadtest.workload import arrivals
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import PRELOAD, Segment, Stage, with_preload, with_ramp

PROMPTS = {"p": Prompt("p", (ChatMessage("user", "x"),)), PRELOAD.key: PRELOAD}
FAR = 10**15


@dataclass
class Watch:
    """Records the events of a segment."""

    requests: list[Request] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    """Those of measured requests."""
    all: list[Record] = field(default_factory=list)
    now: int = 0
    most: int = 0

    def sent(self, request: Request) -> None:
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)

    def ended(self, record: Record) -> None:
        self.all.append(record)
        if not record.planned.warm_up:
            self.records.append(record)
        self.now -= 1


class FakeSender:
    """Responds when `gate` is open, which it is initially."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, request: Request) -> Record:
        sent = self.clock()
        await asyncio.sleep(0)
        await self.gate.wait()
        return Record(
            stage=request.stage,
            planned=request.planned,
            api="openai",
            scheduled_ns=request.scheduled_ns,
            sent_ns=sent,
            ended_ns=self.clock(),
            chunk_ns=(),
            prompt_tokens=None,
            completion_tokens=None,
            counted_by=None,
            outcome=Outcome.BUSY,
        )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions have no event
            await asyncio.sleep(0)


def segment(count: int, level: float, rate: float | None = None, **changes: float) -> Segment:
    offsets: tuple[int | None, ...] = (None,) * count
    if rate is not None:
        offsets = arrivals.offsets("constant", rate, count / rate, "")
    mode = "closed" if rate is None else "open"
    stage = Stage("s", mode, level, "fixed")  # type: ignore[arg-type]
    requests = tuple(PlannedRequest(i, 0, "m", "p", 4, "fixed", at) for i, at in enumerate(offsets))
    return Segment(stage, 0, "m", requests, changes.get("seconds"))


def run(made: Segment, deadline: int = FAR) -> Watch:
    watch = Watch()

    async def go() -> list[Record]:
        clock = Clock()
        loader = SendContext(FakeSender(clock).send, watch, clock)
        share = Share(made, PROMPTS, clock(), deadline, keep_all)
        await preload(share, loader)
        return await run_segment(share, loader)

    assert asyncio.run(go()) == watch.records
    return watch


def test_a_closed_loop_keeps_its_workers_busy_and_no_more() -> None:
    watch = run(segment(20, level=4))
    assert [r.planned.index for r in watch.requests] == list(range(20))
    assert (len(watch.records), watch.most) == (20, 4)
    assert all(r.stage == "s" and r.keep_text for r in watch.requests)


def test_a_worker_is_scheduled_when_it_is_free() -> None:
    records = run(segment(6, level=1)).records
    for before, after in pairwise(records):
        assert before.ended_ns <= after.scheduled_ns <= after.sent_ns


def with_marked_ramps(count: int, level: int) -> Segment:
    return with_ramp(segment(count, level))


def begins(made: Segment, response_ns: int) -> list[int]:
    """Return the first send time of each worker, in ms since the first; no response yet."""

    async def go() -> list[Record]:
        clock, watch = Clock(), Watch()
        sender = FakeSender(clock)
        sender.gate.clear()
        share = Share(made, PROMPTS, clock(), FAR, keep_all, response_ns)
        task = asyncio.create_task(run_segment(share, SendContext(sender.send, watch, clock)))
        await until(lambda: watch.now == made.stage.level)
        sender.gate.set()
        return await task

    sent = sorted(r.sent_ns for r in asyncio.run(go()))[: int(made.stage.level)]
    return [round((at - sent[0]) / 1e6) for at in sent]


def test_ramp_up_takes_the_latency_of_a_response() -> None:
    """Sleeps never end early; lateness depends on the machine."""
    at = begins(with_marked_ramps(20, 4), 80_000_000)
    assert all(when >= due for when, due in zip(at, (0, 19, 39, 59), strict=True))


def test_without_a_ramp_workers_start_together() -> None:
    assert len(begins(segment(20, 4), 10**15)) == 4


def test_a_preload_request_is_sent_alone_and_not_counted() -> None:
    watch = run(with_preload(segment(6, level=3)))
    assert [r.planned.warm_up for r in watch.requests] == [True, *[False] * 6]
    assert watch.requests[0].prompt == PRELOAD
    first, *rest = watch.all
    assert all(r.sent_ns >= first.ended_ns for r in rest)


def test_no_preload_without_time() -> None:
    assert run(with_preload(segment(3, level=1)), deadline=-1).requests == []


def test_a_closed_loop_without_workers_sends_nothing() -> None:
    assert run(segment(0, level=0)).records == []


def test_an_open_loop_does_not_wait_for_responses() -> None:
    async def go() -> tuple[int, list[Record]]:
        watch, clock = Watch(), Clock()
        sender = FakeSender(clock)
        sender.gate.clear()
        share = Share(segment(10, 1000, rate=1000), PROMPTS, clock(), FAR, keep_all)
        task = asyncio.create_task(run_segment(share, SendContext(sender.send, watch, clock)))
        await until(lambda: watch.now == 10)
        sender.gate.set()
        return watch.most, await task

    most, records = asyncio.run(go())
    assert most == 10
    first = records[0].scheduled_ns - (records[0].planned.offset_ns or 0)
    for record in records:
        assert record.planned.offset_ns is not None
        assert record.scheduled_ns == first + record.planned.offset_ns
        assert record.sent_ns >= record.scheduled_ns


def test_a_late_sender_keeps_the_schedule() -> None:
    """The schedule is absolute: a delayed request does not delay the ones behind it."""

    class SlowSender(FakeSender):
        async def send(self, request: Request) -> Record:
            record = await super().send(request)
            if request.planned.index == 0:
                end = self.clock() + 50_000_000
                while self.clock() < end:  # block the event loop
                    continue
            return record

    async def go() -> list[Record]:
        clock = Clock()
        share = Share(segment(4, 100, rate=100), PROMPTS, clock(), FAR, keep_all)
        return await run_segment(share, SendContext(SlowSender(clock).send, Watch(), clock))

    records = sorted(asyncio.run(go()), key=lambda r: r.planned.index)
    gaps = {b.scheduled_ns - a.scheduled_ns for a, b in pairwise(records)}
    assert gaps == {10_000_000}
    late = send_lag(records)
    assert late is not None
    assert late.high >= 0.03
    assert late.n == 4


def test_nothing_is_sent_after_the_segments_time_limit() -> None:
    watch = run(segment(10, 1, rate=1, seconds=0.001))
    assert [r.planned.index for r in watch.requests] == [0]


def test_nothing_is_sent_after_the_runs_deadline() -> None:
    assert run(segment(10, level=3), deadline=-1).requests == []
    assert run(segment(10, 10, rate=10), deadline=-1).requests == []


def test_a_closed_loop_has_no_send_lag() -> None:
    assert send_lag(run(segment(3, level=1)).records) is None


def test_lag_uses_nearest_rank() -> None:
    lag = lag_of([*range(99), 1_000_000_000])
    assert lag is not None
    assert (lag.n, lag.high, lag.p99) == (100, 1.0, 1.0)
    assert lag.p50 == pytest.approx(50e-9)
    assert lag_of([]) is None


def test_a_blocked_loop_is_measured() -> None:
    async def go() -> LoopLagSampler:
        clock = Clock()
        async with sample_loop_lag(clock) as lag:
            await until(lambda: len(lag.samples) > 0)
            with lag.during("nothing"):
                seen = len(lag.samples)
            with lag.during("held up"):
                end = clock() + 80_000_000
                while clock() < end:
                    continue
                await until(lambda: len(lag.samples) > seen)
        return lag

    watched = asyncio.run(go())
    lag, stages = watched.lag(), watched.stages()
    assert lag is not None
    assert lag.high >= 0.06
    assert stages["held up"].high == lag.high
    assert stages["held up"].n < lag.n
    assert "nothing" not in stages


class Answering(FakeSender):
    """Answers with the number of messages it got, and fails one prompt."""

    def __init__(self, clock: Clock, failing: str = "") -> None:
        super().__init__(clock)
        self.failing = failing

    async def send(self, request: Request) -> Record:
        record = await super().send(request)
        failed = request.prompt.key == self.failing
        return replace(
            record,
            outcome=Outcome.FAILED if failed else Outcome.OK,
            text=f"{len(request.prompt.messages)} messages",
        )


def converse(mode: str, level: float, failing: str = "", think: float = 0.0) -> Watch:
    """Send two conversations of three turns."""
    stage = Stage("s", mode, level, "until_eos")  # type: ignore[arg-type]
    turns = [(c, t) for t in range(3) for c in range(2)]
    made = {
        f"{c}.{t}": Prompt(f"{c}.{t}", (ChatMessage("user", f"{c}.{t}?"),), c, t) for c, t in turns
    }
    requests = tuple(
        PlannedRequest(i, 0, "m", f"{c}.{t}", 4, "until_eos", c * 1000, False, False, c, t)
        for i, (c, t) in enumerate(turns)
    )
    watch = Watch()

    async def go() -> None:
        clock = Clock()
        whole = Segment(stage, 0, "m", requests, think_seconds=think)
        context = SendContext(Answering(clock, failing).send, watch, clock)
        await run_segment(Share(whole, made, clock(), FAR, lambda _: False), context)

    asyncio.run(go())
    return watch


LOOPS = pytest.mark.parametrize(("mode", "level"), [("closed", 2), ("closed", 1), ("open", 5.0)])


@LOOPS
def test_a_turn_has_the_answers_of_the_server_to_the_earlier_ones(mode: str, level: float) -> None:
    watch = converse(mode, level)
    last = next(r for r in watch.requests if r.prompt.key == "1.2")
    assert [(m.role, m.content) for m in last.prompt.messages] == [
        ("user", "1.0?"),
        ("assistant", "1 messages"),
        ("user", "1.1?"),
        ("assistant", "3 messages"),
        ("user", "1.2?"),
    ]
    assert (len(watch.records), watch.most) == (6, 1 if level == 1 else 2)
    assert {record.text for record in watch.records} == {""}  # kept for the next turn only


@LOOPS
def test_a_failed_turn_ends_its_conversation_only(mode: str, level: float) -> None:
    watch = converse(mode, level, failing="0.1")
    assert {r.planned.prompt for r in watch.records} == {"0.0", "0.1", "1.0", "1.1", "1.2"}


def test_a_turn_follows_its_answer_after_the_time_to_think() -> None:
    records = {r.planned.prompt: r for r in converse("open", 5.0, think=0.02).records}
    for before, after in (("0.0", "0.1"), ("0.1", "0.2"), ("1.1", "1.2")):
        assert records[after].sent_ns - records[before].ended_ns >= 20_000_000
