"""The capacity search finds the capacity of the mock server."""

import asyncio
from collections.abc import Sequence
from time import perf_counter_ns

import pytest

from loadtest.mock import Behaviour, MockModel, MockServer
from loadtest.truth.against_mock import NullObserver
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config, Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import CapacityResult
from sizeup_loadtest.execution.capacity_search import CapacitySearch, LoadLevels
from sizeup_loadtest.execution.sending.load_generator import (
    SendContext,
    Share,
    keep_all,
    run_segment,
)
from sizeup_loadtest.workload import prompts

MODEL = MockModel("m", ttft_seconds=0.05, gap_seconds=0.01, parallel=2, tokens=16)
"""A response takes 0.2 s; two slots are ten responses per second."""
RESPONSE_SECONDS = 0.2


def config(mode: str, seconds: float) -> Config:
    """A request that waits for a slot waits for a whole response, and misses the SLO."""
    return Config.model_validate(
        {
            "models": [ModelConfig(name="m")],
            "length": "until_eos",
            "slo": {"ttft_seconds": 0.16, "tpot_seconds": 1.0, "attainment": 0.8},
            "load": {"open": {"arrival": "constant"}},
            "capacity": {"mode": mode, "seconds": seconds, "max": 16},
        }
    )


async def search(config: Config) -> tuple[CapacityResult, MockServer]:
    async with (
        MockServer(Behaviour((MODEL,))) as server,
        Client({"m": Server(server.url, "m")}, Sampling(), perf_counter_ns) as client,
    ):
        context = SendContext(client.send, NullObserver(), perf_counter_ns)
        levels = LoadLevels(config, "m", prompts.source(config.prompts))

        async def run_level(level: float, attempt: int) -> Sequence[Record]:
            segment = levels.segment(level, attempt)
            share = Share(segment, levels.prompts, perf_counter_ns(), 2**62, keep_all)
            records = await run_segment(share, context)
            levels.learn(records)
            return records

        searching = CapacitySearch(run_level, levels.bounds, config.slo)
        while await searching.step():
            pass
        return searching.result(), server


def test_a_closed_loop_finds_the_slots_of_the_server() -> None:
    result, server = asyncio.run(search(config("closed", 1.2)))
    assert server.truth.most_at_once("m") == MODEL.parallel
    assert result.max_load == MODEL.parallel
    assert not result.bounded_by_limit
    assert result.knee == pytest.approx(MODEL.parallel, abs=0.5)
    assert result.effective_parallelism == pytest.approx(MODEL.parallel, rel=0.15)


def test_an_open_loop_finds_the_rate_of_the_server() -> None:
    result, _ = asyncio.run(search(config("open", 1.0)))
    truth = MODEL.parallel / RESPONSE_SECONDS
    assert result.max_load is not None
    # Slight overload does not show in 1 s, and the resolution of the search is a tenth.
    assert 0.75 * truth <= result.max_load <= 1.6 * truth


def test_a_search_without_time_has_no_result() -> None:
    async def nothing(level: float, attempt: int) -> Sequence[Record]:
        return []

    closed = config("closed", 1)
    bounds = LoadLevels(closed, "m", prompts.source(closed.prompts)).bounds
    searching = CapacitySearch(nothing, bounds, closed.slo)
    assert not asyncio.run(searching.step())
    result = searching.result()
    assert (result.max_load, result.points, result.finished) == (None, (), False)
