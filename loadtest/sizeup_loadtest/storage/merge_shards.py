"""Several shards' folders -> one: raw events together, so that percentiles come from all of them.

A percentile of percentiles, or a mean of them, is none. What only exists as a summary (the loop's
lag) is that of the worst shard.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder, RunInfo

PIECES = ("capacity.json", "ability.json", "suites.json")
"""What one shard finds for all."""


def merge(folders: Sequence[RunFolder], into: Path) -> RunFolder:
    """Merge the folders of one run's shards; UsageError when they do not belong together."""
    plan, infos = _same_plan(folders), [folder.info() for folder in folders]
    _all_there(folders, infos)
    records = merge_records(record for folder in folders for record in folder.records())
    merged = RunFolder.create(into)
    merged.begin(folders[0].config(), plan.plan())
    merged.write("records.jsonl", _lines(records))
    for name in PIECES:
        _copy_piece(name, folders, merged)
    merged.write_json("run", info_of(infos))
    return merged


def _same_plan(folders: Sequence[RunFolder]) -> RunFolder:
    if not folders:
        raise UsageError("no shards to merge")
    hashes = {folder.plan().sha256: folder for folder in folders}
    if len(hashes) > 1:
        names = ", ".join(str(folder.path) for folder in hashes.values())
        raise UsageError(f"shards of different plans: {names}")
    return folders[0]


def _all_there(folders: Sequence[RunFolder], infos: Sequence[RunInfo]) -> None:
    """Refuse a part of a run: a load that lacks a shard is another load."""
    wanted = max(info.shards for info in infos)
    if wanted > 1 and wanted != len(folders):
        raise UsageError(f"{len(folders)} of {wanted} shards; a load without all is another load")


def merge_records(records: Iterable[Record]) -> list[Record]:
    """Put records in the order they were sent; UsageError when a request is there twice."""
    ordered = sorted(records, key=lambda r: (r.sent_ns, r.shard))
    seen: set[tuple[str, str, int, int]] = set()
    for record in (record for record in ordered if not record.planned.warm_up):
        planned = record.planned
        key = (record.stage, planned.model, planned.block, planned.index)
        if key in seen:
            raise UsageError(f"the same request twice: {key}; is a shard given twice?")
        seen.add(key)
    return ordered


def info_of(infos: Sequence[RunInfo]) -> RunInfo:
    """Say of all shards together when, where and with what they ran."""
    first = min(infos, key=lambda info: info.started_at)
    return first.model_copy(
        update={
            "seconds": max(info.seconds for info in infos),
            "loop_lag": worst([info.loop_lag for info in infos if info.loop_lag is not None]),
            "stage_lag": _worst_stages(infos),
            "model_info": {name: fact for info in reversed(infos) for name, fact in info.model_info.items()},
            "load_seconds": _longest(infos),
            "broken": {name: why for info in infos for name, why in info.broken.items()},
            "shards": len(infos),
            "complete": all(info.complete for info in infos),
        }
    )


def worst(lags: Sequence[Lag]) -> Lag | None:
    """Return each figure of the shard in which it was worst; None where none was measured."""
    if not lags:
        return None
    return Lag(
        n=sum(lag.n for lag in lags),
        p50=max(lag.p50 for lag in lags),
        p99=max(lag.p99 for lag in lags),
        high=max(lag.high for lag in lags),
    )


def _worst_stages(infos: Sequence[RunInfo]) -> dict[str, Lag]:
    lags: dict[str, list[Lag]] = defaultdict(list)
    for info in infos:
        for stage, lag in info.stage_lag.items():
            lags[stage].append(lag)
    return {stage: of_all for stage, found in lags.items() if (of_all := worst(found)) is not None}


def _longest(infos: Sequence[RunInfo]) -> dict[str, float]:
    """Return each model's cold start; the shard that met it first saw all of it."""
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


def _copy_piece(name: str, folders: Sequence[RunFolder], into: RunFolder) -> None:
    found = [path for folder in folders if (path := folder.path / name).exists()]
    if len(found) > 1:
        raise UsageError(f"{name} is in several shards: {', '.join(map(str, found))}")
    for path in found:
        into.write(name, path.read_bytes())
