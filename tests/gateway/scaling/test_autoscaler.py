"""Autoscaling by load, with several gateways that share nothing but the scale."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from gateway.scaling.fake_scale import (
    AUTOSCALING,
    KEEP_ALIVE,
    SLEEPING,
    FakeGateway,
    FakeScale,
)
from gateway.virtual_time import run_in_virtual_time

Scenario = Callable[[FakeScale, FakeGateway, FakeGateway], Awaitable[None]]
LONG = 2 * KEEP_ALIVE + 10
"""Enough to scale in after any change, the window and an interval between reads included."""

READ = 5.0
"""A fall and a rise between two reads of a gateway are not seen."""


def with_two_gateways(
    scenario: Scenario,
    scale: FakeScale | None = None,
    *,
    apart: float = 0.5,
    sleeping: bool = False,
) -> None:
    """Run a scenario with two gateways that check this many seconds apart."""

    async def run() -> None:
        one = scale or FakeScale()
        zero = SLEEPING if sleeping else None
        gateways = [FakeGateway(one, AUTOSCALING, zero) for _ in range(2)]
        gateways[0].start()
        await asyncio.sleep(apart)
        gateways[1].start()
        await scenario(one, gateways[0], gateways[1])
        for gateway in gateways:
            if gateway in one.gateways:
                await gateway.stop()

    run_in_virtual_time(run())


@pytest.mark.parametrize("apart", [0.0, 0.25, 0.5, 0.999])
def test_gateways_scale_out_and_in_once(apart: float) -> None:
    """In steps, as the mean load rises and falls."""

    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        await asyncio.sleep(LONG)
        assert scale.writes == []
        scale.load = 24
        await asyncio.sleep(LONG)
        assert scale.writes == [2, 3]
        scale.load = 0
        await asyncio.sleep(KEEP_ALIVE - 1)
        assert scale.writes == [2, 3]
        await asyncio.sleep(15)
        assert scale.writes == [2, 3, 2, 1]
        await asyncio.sleep(LONG)
        assert scale.writes == [2, 3, 2, 1]
        assert scale.conflicts == (4 if apart == 0.0 else 0)

    with_two_gateways(scenario, apart=apart)


def test_a_restarted_gateway_undoes_nothing() -> None:
    async def scenario(scale: FakeScale, a: FakeGateway, b: FakeGateway) -> None:
        scale.load = 24
        await asyncio.sleep(LONG)
        scale.load = 0
        await b.stop()
        await a.stop()
        fresh = FakeGateway(scale)
        fresh.start()
        await asyncio.sleep(KEEP_ALIVE - 20)
        assert scale.writes == [3]
        scale.load = 16
        await asyncio.sleep(LONG)
        assert scale.writes == [3, 2]
        await fresh.stop()

    with_two_gateways(scenario)


async def varied(scale: FakeScale, chance: random.Random, changes: int) -> None:
    """Vary the load around the targets of one, two and three replicas."""
    for _ in range(changes):
        scale.load = min(max(0, scale.load + chance.randint(-4, 4)), 32)
        await asyncio.sleep(chance.uniform(0.1, 1.9))


@pytest.mark.parametrize("seed", range(8))
def test_no_scale_out_is_undone_before_the_keep_alive_time(seed: int) -> None:
    """Each gateway has other samples, and one restarts in the middle."""
    chance = random.Random(seed)

    async def scenario(scale: FakeScale, a: FakeGateway, b: FakeGateway) -> None:
        await varied(scale, chance, 200)
        await b.stop()
        fresh = FakeGateway(scale)
        fresh.start()
        await varied(scale, chance, 300)
        await fresh.stop()
        changes = list(zip(scale.written_at, [1, *scale.writes][:-1], scale.writes, strict=True))
        assert all(before != after for _, before, after in changes)
        for (then, before, after), (later, _, last) in pairwise(changes):
            undone = before < after and last < after
            assert not undone or later - then >= KEEP_ALIVE - READ

    with_two_gateways(scenario, apart=chance.random())


def test_a_replica_without_stats_keeps_the_replicas() -> None:
    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        scale.without_stats = 1
        await asyncio.sleep(3 * LONG)
        assert scale.writes == []
        scale.without_stats = 0
        await asyncio.sleep(LONG)
        assert scale.writes == [1]

    with_two_gateways(scenario, FakeScale(3))


def test_replicas_that_do_not_become_ready_are_asked_for_once() -> None:
    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        scale.startable = 1
        scale.load = 1000
        await asyncio.sleep(3 * LONG)
        assert scale.writes == [4]
        scale.load = 0
        await asyncio.sleep(LONG)
        assert scale.writes == [4, 1]

    with_two_gateways(scenario)


def test_queued_requests_are_load_and_other_gateways_do_not_see_them() -> None:
    async def scenario(scale: FakeScale, a: FakeGateway, _b: FakeGateway) -> None:
        scale.startable = 0
        scale.set(1)
        with a.queued(20):
            await asyncio.sleep(3 * LONG)
            assert scale.writes == [3]
        await asyncio.sleep(3 * LONG)
        assert scale.writes == [3], "another gateway may have requests queued"
        scale.startable = 3
        scale.set(3)
        await asyncio.sleep(LONG)
        assert scale.writes == [3, 1]

    with_two_gateways(scenario)


def test_a_scale_outside_of_the_limits() -> None:
    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        await asyncio.sleep(LONG)
        scale.set(6)
        await asyncio.sleep(KEEP_ALIVE - 1)
        assert scale.writes == []
        await asyncio.sleep(15)
        assert scale.writes == [1]
        scale.set(0)
        await asyncio.sleep(7)
        assert scale.writes == [1, 1]

    with_two_gateways(scenario)


def test_a_gateway_with_the_catalog_of_before_does_not_undo_the_new_limit() -> None:
    async def scenario(scale: FakeScale, a: FakeGateway, b: FakeGateway) -> None:
        scale.load = 1000
        await asyncio.sleep(LONG)
        a.change(AUTOSCALING.model_copy(update={"max_replicas": 6}))
        await asyncio.sleep(KEEP_ALIVE - 1)
        b.change(AUTOSCALING.model_copy(update={"max_replicas": 6}))
        await asyncio.sleep(3 * LONG)
        assert scale.writes == [4, 6]

    with_two_gateways(scenario)


def test_the_scale_is_read_every_five_seconds() -> None:
    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        await asyncio.sleep(100)
        assert scale.reads == pytest.approx(2 * 20, abs=2)

    with_two_gateways(scenario)


def test_errors_of_the_api_server_are_retried_every_five_seconds() -> None:
    async def scenario(scale: FakeScale, _a: FakeGateway, _b: FakeGateway) -> None:
        await asyncio.sleep(LONG)
        scale.reads, scale.refuses = 0, True
        scale.load = 24
        await asyncio.sleep(LONG)
        assert scale.reads <= 2 * (LONG / 5 + 1)
        scale.load = 0
        await asyncio.sleep(15)
        scale.refuses = False
        await asyncio.sleep(20)
        assert scale.writes == [], "the load was seen meanwhile, and has ended"

    with_two_gateways(scenario)


def test_from_zero_and_to_zero() -> None:
    async def scenario(scale: FakeScale, a: FakeGateway, _b: FakeGateway) -> None:
        await asyncio.sleep(LONG)
        assert scale.writes == []
        with a.queued(1):
            await asyncio.sleep(1)
            assert scale.writes == [1]
        scale.load = 20
        await asyncio.sleep(LONG)
        assert scale.writes == [1, 2, 3]
        scale.load = 0
        await asyncio.sleep(LONG)
        assert scale.writes[-1] == 0
        assert sorted(scale.writes[3:], reverse=True) == scale.writes[3:]
        count = len(scale.writes)
        await asyncio.sleep(3 * LONG)
        assert len(scale.writes) == count

    with_two_gateways(scenario, FakeScale(0), sleeping=True)
