"""The merged shards equal the run of a single process."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.recording import record
from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import CapacityResult, Lag
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.storage import merge_shards
from sizeup_loadtest.storage.run_folder import CapacityFile, RunFolder, RunInfo
from sizeup_loadtest.workload import prompts, schedule

CONFIG = Config.model_validate(
    {"models": ["m"], "length": "fixed", "load": {"blocks": 1, "requests_per_block": 100}}
)
PLAN = schedule.compile_plan(CONFIG, prompts.source(CONFIG.prompts))
INFO = RunInfo(
    tool_version="0", started_at="2026-01-01T00:00:00", seconds=9, environment={}, loop_lag=None
)
STAGE = PLAN.stages[0].key
# A slow and a fast shard: the p95 of all is neither of theirs, nor their mean
RECORDS = [
    record(i, stage=STAGE, sent=50 * i, first=900 if i % 4 == 3 else 100 + i) for i in range(100)
]


def folder(
    path: Path, records: Sequence[Record], info: RunInfo, config: Config = CONFIG
) -> RunFolder:
    made = RunFolder.create(path)
    made.begin(config, schedule.compile_plan(config, prompts.source(config.prompts)))
    with made.recorder() as recorder:
        for one in records:
            recorder.add(one)
    made.write_json("run", info)
    return made


def split(tmp_path: Path, count: int) -> list[RunFolder]:
    return [
        folder(
            tmp_path / f"{shard}",
            [replace(r, shard=shard) for r in RECORDS[shard::count]],
            INFO.model_copy(update={"shards": count}),
        )
        for shard in range(count)
    ]


def test_results_come_from_all_records(tmp_path: Path) -> None:
    merged = assemble(merge_shards.merge(split(tmp_path, 4), tmp_path / "all"))
    whole = assemble(folder(tmp_path / "whole", RECORDS, INFO))
    assert merged.models == whole.models
    stage = merged.models[0].stages[0]
    assert stage.ttft is not None
    assert stage.ttft.n == 100


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 of 3 shards"):
        merge_shards.merge(split(tmp_path, 3)[:2], tmp_path / "all")


def test_a_duplicate_shard_is_an_error(tmp_path: Path) -> None:
    first, _ = split(tmp_path, 2)
    with pytest.raises(UsageError, match="twice"):
        merge_shards.merge([first, first], tmp_path / "all")


def test_shards_of_different_plans_are_an_error(tmp_path: Path) -> None:
    other = CONFIG.model_copy(update={"max_tokens": 5})
    folders = [folder(tmp_path / "a", [], INFO), folder(tmp_path / "b", [], INFO, other)]
    with pytest.raises(UsageError, match="different plans"):
        merge_shards.merge(folders, tmp_path / "all")


def test_no_shards_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no shards"):
        merge_shards.merge([], tmp_path / "all")


def test_the_longest_load_time_counts(tmp_path: Path) -> None:
    folders = split(tmp_path, 2)
    for shard, one in enumerate(folders):
        waking = record(0, stage=STAGE, first=9000, warm_up=True)
        with one.recorder() as recorder:
            recorder.add(replace(waking, shard=shard))
    merged = assemble(merge_shards.merge(folders, tmp_path / "all"))
    assert merged.models[0].stages[0].reloads == 1


def test_results_of_a_single_shard_are_kept(tmp_path: Path) -> None:
    folders = split(tmp_path, 2)
    found = CapacityResult(
        mode="closed",
        max_load=4,
        bounded_by_limit=False,
        knee=None,
        effective_parallelism=None,
        points=(),
    )
    piece = CapacityFile(results={"m": found})
    folders[1].write_json("capacity", piece)
    merged = merge_shards.merge(folders, tmp_path / "all")
    assert merged.read_json("capacity", CapacityFile) == piece


def test_lag_is_that_of_the_worst_shard() -> None:
    slow, fast = Lag(n=5, p50=0.1, p99=0.2, high=0.9), Lag(n=7, p50=0.0, p99=0.3, high=0.4)
    infos = [
        INFO.model_copy(update={"loop_lag": slow, "load_seconds": {"m": 3.0}}),
        INFO.model_copy(update={"loop_lag": fast, "seconds": 11, "complete": False}),
    ]
    made = merge_shards.merge_info(infos)
    assert made.loop_lag == Lag(n=12, p50=0.1, p99=0.3, high=0.9)
    assert (made.seconds, made.complete, made.shards) == (11, False, 2)
    assert made.load_seconds == {"m": 3.0}
