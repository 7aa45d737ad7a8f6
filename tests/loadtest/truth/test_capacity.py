"""The load that is found is the one the server was made for."""

import asyncio
from collections.abc import Sequence
from time import perf_counter_ns

import pytest

from loadtest.mock import Behaviour, MockModel, MockServer
from loadtest.truth.against_mock import Quiet
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.schema import Config, ModelConfig, Sampling, Target
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution import capacity_search, load_generator
from sizeup_loadtest.execution.load_generator import Loader
from sizeup_loadtest.workload import prompts

SIZE = MockModel("m", ttft_seconds=0.05, gap_seconds=0.02, parallel=2, tokens=18)
"""An answer takes 0.39 s; two places are five answers a second."""


def config(mode: str) -> Config:
    """A request that waits for a place waits as long as an answer takes, and misses."""
    return Config.model_validate(
        {
            "models": [ModelConfig(name="m")],
            "length": "until_eos",
            "slo": {"ttft_seconds": 0.3, "tpot_seconds": 1.0, "attainment": 0.8},
            "load": {"open": {"arrival": "constant"}},
            "capacity": {"mode": mode, "seconds": 2.5, "max": 16},
        }
    )


async def search(asked: Config) -> tuple[capacity_search.Found, MockServer]:
    async with (
        MockServer(Behaviour((SIZE,))) as server,
        Client(Target(url=server.url), Sampling(), perf_counter_ns) as client,
    ):
        loader = Loader(client, Quiet(), perf_counter_ns, 2**62, load_generator.keep_all)
        levels = capacity_search.LoadLevels(asked, "m", prompts.source(asked.prompts))

        async def run_level(level: float, attempt: int) -> Sequence[Record]:
            segment = levels.segment(level, attempt)
            records = await load_generator.run_segment(segment, levels.prompts, loader)
            levels.learn(records)
            return records

        searching = capacity_search.CapacitySearch(run_level, levels.bounds, asked.slo)
        while await searching.step():
            pass
        return searching.found(), server


def test_a_closed_loop_finds_the_servers_places() -> None:
    found, server = asyncio.run(search(config("closed")))
    assert server.truth.most_at_once("m") == SIZE.parallel
    assert found.result.max_load == SIZE.parallel
    assert not found.result.bounded_by_limit
    assert found.result.knee == pytest.approx(SIZE.parallel, abs=0.5)
    assert found.result.effective_parallelism == pytest.approx(SIZE.parallel, rel=0.15)
    assert len(found.records) == len(server.truth)


def test_an_open_loop_finds_places_over_seconds() -> None:
    found, _ = asyncio.run(search(config("open")))
    truth = SIZE.parallel / 0.39
    assert found.result.max_load is not None
    # A little more than capacity does not yet show in 2.5 s; the step of the search is a tenth
    assert 0.75 * truth <= found.result.max_load <= 1.5 * truth


def test_a_run_whose_time_is_over_keeps_what_it_has() -> None:
    async def nothing(level: float, attempt: int) -> Sequence[Record]:
        return []

    bounds = capacity_search.LoadLevels(
        config("closed"), "m", prompts.source(config("closed").prompts)
    ).bounds
    searching = capacity_search.CapacitySearch(nothing, bounds, config("closed").slo)
    assert not asyncio.run(searching.step())
    found = searching.found()
    assert (found.result.max_load, found.result.points) == (None, ())
