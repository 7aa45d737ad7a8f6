"""The scale of processes, by the gateway's client over a real socket."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cli.children import DEADLINE_SECONDS, RUN_FOREVER, Supervised, is_running, until
from sizeup.deployment.scale_server import scale_server, socket_path
from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale, UnreachableError
from sizeup_gateway.scaling.local_scale import LocalScale, open_local_scale

NAME = "model-0"
Scenario = Callable[[Supervised, LocalScale], Awaitable[None]]


def scaling(folder: Path, scenario: Scenario) -> None:
    async def run() -> None:
        supervised = Supervised(folder, RUN_FOREVER)
        supervisor = supervised.supervisor
        running = asyncio.create_task(supervisor.run())
        with socket_path(folder) as path:
            async with (
                scale_server(path, {NAME: supervisor}, DEADLINE_SECONDS),
                open_local_scale(path) as scales,
            ):
                await supervisor.ready.wait()
                await scenario(supervised, scales)
        await supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


def test_a_process_is_stopped_and_started(tmp_path: Path) -> None:
    async def scenario(supervised: Supervised, scales: LocalScale) -> None:
        pid = supervised.pid
        up = await scales.read_scale(NAME)
        assert up.replicas == 1
        await scales.write_scale(NAME, Scale(0, up.version))
        await until(lambda: supervised.recorder.unloads == ["child"])
        assert not is_running(pid)
        down = await scales.read_scale(NAME)
        assert (down.replicas, down.version != up.version) == (0, True)
        await scales.write_scale(NAME, Scale(1, down.version))
        await supervised.supervisor.ready.wait()
        assert supervised.pid != pid

    scaling(tmp_path, scenario)


def test_a_write_with_another_version_is_a_conflict(tmp_path: Path) -> None:
    async def scenario(supervised: Supervised, scales: LocalScale) -> None:
        first = await scales.read_scale(NAME)
        await scales.write_scale(NAME, Scale(0, first.version))
        with pytest.raises(ConflictError):
            await scales.write_scale(NAME, Scale(1, first.version))

    scaling(tmp_path, scenario)


def test_unknown_names_and_scales_are_errors(tmp_path: Path) -> None:
    async def scenario(_supervised: Supervised, scales: LocalScale) -> None:
        with pytest.raises(ClusterError):
            await scales.read_scale("model-1")
        found = await scales.read_scale(NAME)
        with pytest.raises(ValueError, match="replicas"):
            await scales.write_scale(NAME, Scale(2, found.version))

    scaling(tmp_path, scenario)


def test_a_supervisor_that_has_ended_is_unreachable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_local_scale(tmp_path / "none") as scales:
            with pytest.raises(UnreachableError):
                await scales.read_scale(NAME)

    asyncio.run(scenario())


def test_a_long_folder_is_replaced_by_a_short_one(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    with socket_path(long) as path:
        assert len(str(path)) < 100
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()
