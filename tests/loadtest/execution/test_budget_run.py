"""Phases of a run with a budget, with a fake clock: servers whose responses take a known time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from loadtest.recording import record
from sizeup_loadtest.config import file
from sizeup_loadtest.config.overrides import Overrides
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution import ability_phase, capacity_search, phases
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.storage.run_folder import AbilityFile, CapacityFile, RunFolder
from sizeup_loadtest.workload import prompts, schedule
from sizeup_loadtest.workload.budget import Pace
from sizeup_loadtest.workload.schedule import Segment, Stage

MS = 1_000


class Simulated:
    """A run whose requests take `seconds` of their model, whatever the number of users."""

    has_budget = True

    def __init__(self, folder: Path, seconds: Mapping[str, float], minutes: float) -> None:
        self.folder = RunFolder.create(folder)
        self.config = file.load("choose", models=[*seconds], overrides=Overrides(minutes))
        self.plan = schedule.compile_plan(self.config, prompts.source(self.config.prompts))
        self.models = [*seconds]
        self.pace = Pace()
        self.notes: list[str] = []
        self.answered: dict[tuple[str, Stage], list[Record]] = {}
        self.now = 0.0
        self._seconds = seconds
        self._end = minutes * 60
        for model, one in seconds.items():
            self.pace.learn(model, 1, one)

    @property
    def seconds_left(self) -> float:
        return self._end - self.now

    def out_of_time(self) -> bool:
        return self.seconds_left < 0

    async def load(
        self, segment: Segment, prompts: object, keep_text: object = None
    ) -> Sequence[Record]:
        """Answer wave after wave of all users, until the time of the segment is over."""
        each, users = self._seconds[segment.model], int(segment.stage.level)
        deadline = min(self._end, self.now + (segment.seconds or self._end))
        made: list[Record] = []
        for first in range(0, len(segment.requests), users):
            if self.now > deadline:
                break
            made += [
                replace(
                    record(sent=self.now * MS, first=each * MS / 2, gap=each * MS / 20),
                    planned=planned,
                    stage=segment.stage.key,
                )
                for planned in segment.requests[first : first + users]
            ]
            self.now += each
        self.pace.learn(segment.model, users, each)
        return made


def test_a_slow_model_is_asked_less_and_the_report_says_so(tmp_path: Path) -> None:
    run = Simulated(tmp_path / "run", {"fast": 0.1, "slow": 60.0}, minutes=2)
    asyncio.run(ability_phase.run(cast(Run, run)))
    found = run.folder.read_json("ability", AbilityFile)
    assert found is not None
    fast, slow = found.results["fast"].overall.n, found.results["slow"].overall.n
    assert fast >= 25 > 10 > slow
    assert [note.partition(":")[0] for note in run.notes] == ["slow"]
    assert run.now <= 2 * 60 + 60


def test_fast_models_are_asked_everything(tmp_path: Path) -> None:
    run = Simulated(tmp_path / "run", {"a": 0.1, "b": 0.2}, minutes=2)
    asyncio.run(ability_phase.run(cast(Run, run)))
    found = run.folder.read_json("ability", AbilityFile)
    assert found is not None
    assert [result.overall.n for result in found.results.values()] == [400, 400]
    assert run.notes == []


def test_loads_that_are_left_out_are_noted(tmp_path: Path) -> None:
    run = Simulated(tmp_path / "run", {"fast": 0.5, "slow": 30.0}, minutes=5)
    asyncio.run(phases.speed(cast(Run, run)))
    measured = {(model, stage.level) for model, stage in run.answered}
    assert measured >= {("fast", 1), ("fast", 4), ("fast", 16), ("slow", 1)}
    assert ("slow", 4) not in measured
    assert any(note.startswith("4 users") and note.endswith("slow") for note in run.notes)
    assert run.now <= 5 * 60 + 30


def test_the_capacity_search_goes_on_from_the_loads_of_the_speed_phase(tmp_path: Path) -> None:
    run = Simulated(tmp_path / "run", {"m": 0.5}, minutes=10)
    asyncio.run(phases.speed(cast(Run, run)))
    before = run.now
    asyncio.run(capacity_search.run(cast(Run, run)))
    found = run.folder.read_json("capacity", CapacityFile)
    assert found is not None
    assert [point.level for point in found.results["m"].points] == [1, 4, 16, 32, 64]
    assert run.now - before < 30
