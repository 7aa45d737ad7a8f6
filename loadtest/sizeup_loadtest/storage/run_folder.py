"""The folder of a run: what was planned, what was seen, and what it is worth.

config.json    the config as it was understood
plan.json      every request, its prompt, and the hash
records.jsonl  raw events, a request a line, written as requests end (or records.jsonl.gz)
run.json       when, where, with what; written last, so a run that was cut off has none
<piece>.json   what a phase found: capacity.json, ability.json, suites.json
results.json   made from all of these, and can be made again
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import (
    AbilityResult,
    CapacityResult,
    Lag,
    ModelInfo,
    Paired,
    Results,
    SuiteScore,
)
from sizeup_loadtest.errors import FolderError
from sizeup_loadtest.workload.schedule import Plan

_RECORD = TypeAdapter(Record)
_PLAN = TypeAdapter(Plan)

Kind = TypeVar("Kind", bound=BaseModel)


class RunInfo(BaseModel):
    """What run.json holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool_version: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    environment: Mapping[str, str]
    loop_lag: Lag | None
    stage_lag: Mapping[str, Lag] = {}
    """By stage, of all sizes together."""
    model_info: Mapping[str, ModelInfo] = {}
    load_seconds: Mapping[str, float] = {}
    """Cold starts that were seen."""
    broken: Mapping[str, str] = {}
    """Model -> why it was not measured."""
    shards: int = 1
    complete: bool = True
    """False when the run was stopped from outside."""


class CapacityFile(BaseModel):
    """What capacity.json holds, by model."""

    results: Mapping[str, CapacityResult]


class AbilityFile(BaseModel):
    """What ability.json holds."""

    results: Mapping[str, AbilityResult]
    """By model."""
    paired: tuple[Paired, ...] = ()
    """Only `only_a_right`, `only_b_right` and `mcnemar_p` are used; `stage` is None."""


class SuitesFile(BaseModel):
    """What suites.json holds."""

    results: Mapping[str, Mapping[str, SuiteScore]]
    """Model -> suite -> score."""
    failed: Mapping[str, str] = {}
    """Model -> why suites of it have no score."""


class Recorder:
    """Append records as they come."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to a file that is open."""
        self._stream = stream

    def add(self, record: Record) -> None:
        """Write a record's line; it is on disk when the buffer is next flushed."""
        self._stream.write(_RECORD.dump_json(record) + b"\n")

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._stream.flush()

    def __enter__(self) -> Self:
        """Close with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Flush and close."""
        self._stream.close()


class RunFolder:
    """One run on disk; FolderError says what cannot be read or written."""

    def __init__(self, path: Path) -> None:
        """Name a folder that is there; `create` makes one."""
        self.path = path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a folder, which must be new or empty."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise FolderError(f"{path}: not empty; give another folder with --out")
        except OSError as error:
            raise FolderError(f"{path}: {error.strerror}") from None
        return cls(path)

    def begin(self, config: Config, plan: Plan) -> None:
        """Write what will be done."""
        self.write("config.json", config.model_dump_json(indent=1).encode())
        self.write("plan.json", _PLAN.dump_json(plan))

    def recorder(self) -> Recorder:
        """Open the file of raw events to append to."""
        try:
            return Recorder((self.path / "records.jsonl").open("ab"))
        except OSError as error:
            raise FolderError(f"{self.path}: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        try:
            (self.path / name).write_bytes(data)
        except OSError as error:
            raise FolderError(f"{self.path / name}: {error.strerror}") from None

    def write_json(self, name: str, read_json: BaseModel) -> None:
        """Write a model as <name>.json."""
        self.write(f"{name}.json", read_json.model_dump_json(indent=1).encode())

    def config(self) -> Config:
        """Read the config."""
        return self._read("config.json", Config)

    def plan(self) -> Plan:
        """Read the plan."""
        try:
            return _PLAN.validate_json(self._bytes("plan.json"))
        except ValidationError as error:
            raise FolderError(f"{self.path / 'plan.json'}: {schema_mismatch(error)}") from None

    def info(self) -> RunInfo:
        """Read when, where and with what."""
        return self._read("run.json", RunInfo)

    def results(self) -> Results:
        """Read the results."""
        return self._read("results.json", Results)

    def read_json(self, name: str, kind: type[Kind]) -> Kind | None:
        """Read what a phase found; None when it was not run."""
        file = f"{name}.json"
        return self._read(file, kind) if (self.path / file).exists() else None

    def records(self) -> Iterator[Record]:
        """Read the raw events; a last line that was cut off is passed over."""
        plain, packed = self.path / "records.jsonl", self.path / "records.jsonl.gz"
        try:
            with plain.open("rb") if plain.exists() else gzip.open(packed, "rb") as lines:
                yield from read_records(lines, str(self.path))
        except OSError as error:
            raise FolderError(f"{self.path}: no raw events: {error}") from None

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise FolderError(f"{self.path / name}: {error.strerror}") from None

    def _read(self, name: str, kind: type[Kind]) -> Kind:
        try:
            return kind.model_validate_json(self._bytes(name))
        except ValidationError as error:
            raise FolderError(f"{self.path / name}: {schema_mismatch(error)}") from None


def read_records(lines: Iterable[bytes], where: str) -> Iterator[Record]:
    """Read lines of raw events; only a whole line can be wrong."""
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield _RECORD.validate_json(line)
        except ValidationError as error:
            raise FolderError(f"{where}: raw event {number}: {schema_mismatch(error)}") from None


def schema_mismatch(error: ValidationError) -> str:
    """Say in one sentence how a file differs from what this version writes."""
    first, *more = error.errors(include_url=False, include_input=False)
    place, message = ".".join(map(str, first["loc"])), first["msg"]
    if first["type"] == "json_invalid":
        return f"not JSON, or cut off ({message.removeprefix('Invalid JSON: ')})"
    others = f", and at {len(more)} more" if more else ""
    return f"its schema is not this version's: at {place or 'its top'} ({message}){others}"
