"""The capacity search from the command line, against a server without limits."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

import pytest

from loadtest.background import CONFIG, WHOLE, background, bench
from loadtest.recording import record
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution import capacity_search
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.storage.run_folder import CapacityFile, RunFolder
from sizeup_loadtest.workload.schedule import Segment, Stage


def searched(tmp_path: Path, capacity: str) -> tuple[RunFolder, list[tuple[str, str]]]:
    """Return the run and its loads with their models, in send order."""
    file = tmp_path / "sizes.yaml"
    file.write_text(f"{CONFIG}length: until_eos\ncapacity: {capacity}\n")
    with background(**WHOLE) as fake:
        options = ("-c", str(file), "--url", fake.url, "--out", str(tmp_path / "run"))
        assert bench("run", "--only", "capacity", *options) == 0
    folder = RunFolder(tmp_path / "run")
    records = [r for r in folder.records() if not r.planned.warm_up]
    return folder, [key for key, _ in groupby((r.stage, r.planned.model) for r in records)]


def test_models_take_turns(tmp_path: Path) -> None:
    folder, loads = searched(tmp_path, "{mode: closed, max: 4, seconds: 0.05}")
    assert loads == [
        (f"capacity-closed-{level}", model) for level in (1, 2, 4) for model in ("large", "small")
    ]
    results = folder.results()
    found = [m.capacity for m in results.models]
    assert [(c.max_load, c.bounded_by_limit) for c in found if c] == [(4, True)] * 2
    assert results.validity.valid
    assert results.validity.error_share == 0


def test_an_open_loop_first_measures_a_single_stream(tmp_path: Path) -> None:
    folder, loads = searched(tmp_path, "{mode: open, max: 2, seconds: 0.3}")
    stages = [stage for stage, model in loads if model == "small"]
    assert stages == ["capacity-closed-1", "capacity-open-1", "capacity-open-2"]
    for model in folder.results().models:
        assert model.capacity is not None
        assert [p.level for p in model.capacity.points] == [1, 2]


class Stopping:
    """A run of one model that is stopped after some loads; a request takes 200 ms."""

    def __init__(self, folder: RunFolder, loads: int) -> None:
        self.folder = folder
        self.models = ("m",)
        self.answered: dict[tuple[str, Stage], list[Record]] = {}
        self.config = Config.model_validate(
            {"models": ["m"], "capacity": {"enabled": True, "max": 64}, "slo": {"ttft_seconds": 9}}
        )
        self._left = loads

    def out_of_time(self) -> bool:
        return False

    async def load(self, segment: Segment, prompts: object) -> Sequence[Record]:
        if self._left == 0:
            raise asyncio.CancelledError
        self._left -= 1
        return [record(i, sent=200 * i, stage=segment.stage.key) for i in range(40)]


def test_results_before_a_stop_are_kept(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(capacity_search.run(cast(Run, Stopping(folder, loads=3))))
    kept = folder.read_json("capacity", CapacityFile)
    assert kept is not None
    found = kept.results["m"]
    assert ([p.level for p in found.points], found.max_load, found.finished) == (
        [1, 2, 4],
        4,
        False,
    )
