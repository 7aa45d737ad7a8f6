"""What is kept of a run, as JSON. Standard library only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from engine_peers.messages import Measurement, Model, Ready


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one peer."""

    seconds: float
    prefill_seconds: float
    """From the submission to the first token of the last stream, without decode steps."""
    decode_tokens: int
    decode_seconds: float
    ttft_p50: float
    ttft_p95: float
    peak_rss_bytes: int
    peak_device_bytes: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The rounds of one load."""

    streams: int
    prompt: int
    tokens: int
    bandwidth: Sequence[float]
    """Bytes per second, of each round."""
    samples: Mapping[str, Sequence[Sample]]
    """By peer; round i of every peer was measured in the same minute."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One command."""

    command: str
    shape: str
    dtype: str
    device: str
    threads: int
    peers: Mapping[str, Ready]
    loads: Sequence[LoadResult]


@dataclass(frozen=True, slots=True)
class Results:
    """The runs on one machine."""

    machine: str
    versions: Mapping[str, str]
    runs: Sequence[RunResult]


def sample(prefill: Measurement, full: Measurement) -> Sample:
    """Combine the measurement of one token per stream and that of all."""
    ttft = full.timing.ttft
    return Sample(
        seconds=full.timing.seconds,
        prefill_seconds=max(prefill.timing.ttft),
        decode_tokens=full.timing.decode_tokens,
        decode_seconds=full.timing.decode_seconds,
        ttft_p50=median(ttft),
        ttft_p95=quantiles(ttft, n=20, method="inclusive")[-1] if len(ttft) > 1 else ttft[0],
        peak_rss_bytes=full.peak_rss_bytes,
        peak_device_bytes=full.peak_device_bytes,
    )


def add_run(file: Path, machine: str, versions: Mapping[str, str], run: RunResult) -> None:
    """Add a run to a file, in place of an earlier one of the same command.

    Results of another machine or of other versions are dropped: one file states both once.
    """
    earlier = read(file) if file.exists() else None
    kept: list[RunResult] = []
    if earlier and (earlier.machine, earlier.versions) == (machine, dict(versions)):
        kept = [old for old in earlier.runs if old.command != run.command]
    file.parent.mkdir(parents=True, exist_ok=True)
    results = Results(machine, versions, [*kept, run])
    file.write_text(json.dumps(_rounded(asdict(results)), indent=1) + "\n")


def read(file: Path) -> Results:
    """Read a file that `add_run` has written."""
    content = json.loads(file.read_text())
    return Results(**content | {"runs": [_run(run) for run in content["runs"]]})


def _run(fields: dict[str, Any]) -> RunResult:
    peers = {
        name: Ready(**ready | {"model": Model(**ready["model"])})
        for name, ready in fields["peers"].items()
    }
    return RunResult(**fields | {"peers": peers, "loads": [_load(one) for one in fields["loads"]]})


def _load(fields: dict[str, Any]) -> LoadResult:
    samples = {
        name: [Sample(**one) for one in rounds] for name, rounds in fields["samples"].items()
    }
    return LoadResult(**fields | {"samples": samples})


def _rounded(value: Any) -> Any:
    """Round every number to the microsecond: more digits are noise."""
    match value:
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case float():
            return round(value, 6)
        case _:
            return value
