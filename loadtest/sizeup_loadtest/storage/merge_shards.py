"""Merges the folders of shards: all records in one, so that percentiles come from all of them.

Percentiles cannot be averaged. Where only a summary exists (event loop lag), the merged one is that
of the worst shard.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder, RunInfo

SINGLE_SHARD_FILES = ("capacity.json", "ability.json", "suites.json")
"""Results of phases that run in one shard only."""


def merge(folders: Sequence[RunFolder], into: Path) -> RunFolder:
    """Merge the shards of one run; UsageError when they do not belong together."""
    plan, infos = _common_plan(folders), [folder.info() for folder in folders]
    _check_complete(folders, infos)
    records = merge_records(record for folder in folders for record in folder.records())
    merged = RunFolder.create(into)
    merged.begin(folders[0].config(), plan.plan())
    merged.write("records.jsonl", _lines(records))
    for name in SINGLE_SHARD_FILES:
        _copy(name, folders, merged)
    merged.write_json("run", merge_info(infos))
    return merged


def _common_plan(folders: Sequence[RunFolder]) -> RunFolder:
    if not folders:
        raise UsageError("no shards to merge")
    by_hash = {folder.plan().sha256: folder for folder in folders}
    if len(by_hash) > 1:
        names = ", ".join(str(folder.path) for folder in by_hash.values())
        raise UsageError(f"shards of different plans: {names}")
    return folders[0]


def _check_complete(folders: Sequence[RunFolder], infos: Sequence[RunInfo]) -> None:
    """Reject a subset of the shards: it was measured under a load that its records lack."""
    expected = max(info.shards for info in infos)
    if expected > 1 and expected != len(folders):
        raise UsageError(f"{len(folders)} of {expected} shards given; all are needed")


def merge_records(records: Iterable[Record]) -> list[Record]:
    """Return records in send order; UsageError for duplicate requests."""
    ordered = sorted(records, key=lambda r: (r.sent_ns, r.shard))
    seen: set[tuple[str, str, int, int]] = set()
    for record in (record for record in ordered if not record.planned.warm_up):
        planned = record.planned
        key = (record.stage, planned.model, planned.block, planned.index)
        if key in seen:
            raise UsageError(f"duplicate request {key}: is a shard given twice?")
        seen.add(key)
    return ordered


def merge_info(infos: Sequence[RunInfo]) -> RunInfo:
    """Return the metadata of all shards together."""
    first = min(infos, key=lambda info: info.started_at)
    model_info = {name: one for info in reversed(infos) for name, one in info.model_info.items()}
    return first.model_copy(
        update={
            "seconds": max(info.seconds for info in infos),
            "loop_lag": worst([info.loop_lag for info in infos if info.loop_lag is not None]),
            "stage_lag": _worst_by_stage(infos),
            "model_info": model_info,
            "load_seconds": _longest_load(infos),
            "invalid_models": {k: v for info in infos for k, v in info.invalid_models.items()},
            "shards": len(infos),
            "complete": all(info.complete for info in infos),
        }
    )


def worst(lags: Sequence[Lag]) -> Lag | None:
    """Return the maximum of each value; None without any."""
    if not lags:
        return None
    return Lag(
        n=sum(lag.n for lag in lags),
        p50=max(lag.p50 for lag in lags),
        p99=max(lag.p99 for lag in lags),
        high=max(lag.high for lag in lags),
    )


def _worst_by_stage(infos: Sequence[RunInfo]) -> dict[str, Lag]:
    by_stage: dict[str, list[Lag]] = defaultdict(list)
    for info in infos:
        for stage, lag in info.stage_lag.items():
            by_stage[stage].append(lag)
    return {key: merged for key, lags in by_stage.items() if (merged := worst(lags)) is not None}


def _longest_load(infos: Sequence[RunInfo]) -> dict[str, float]:
    """Return the cold start of each model, from the shard whose request came first."""
    longest: dict[str, float] = {}
    for info in infos:
        for name, seconds in info.load_seconds.items():
            longest[name] = max(seconds, longest.get(name, 0.0))
    return longest


def _lines(records: Iterable[Record]) -> bytes:
    stream = io.BytesIO()
    recorder = Recorder(stream)
    for record in records:
        recorder.add(record)
    return stream.getvalue()


def _copy(name: str, folders: Sequence[RunFolder], into: RunFolder) -> None:
    files = [path for folder in folders if (path := folder.path / name).exists()]
    if len(files) > 1:
        raise UsageError(f"{name} is in several shards: {', '.join(map(str, files))}")
    for path in files:
        into.write(name, path.read_bytes())
