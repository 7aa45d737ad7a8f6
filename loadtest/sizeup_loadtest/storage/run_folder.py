"""The folder of a run.

config.json    the effective config
plan.json      every request, its prompt, and the schedule hash
records.jsonl  one finished request per line, appended during the run (or records.jsonl.gz)
run.json       metadata, written last: an interrupted run has none
capacity.json, ability.json, suites.json: the results of these phases
results.json   computed from all of the above
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.ability import AbilityResult, SuiteScore
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import (
    CapacityResult,
    Lag,
    ModelInfo,
    Paired,
    Results,
    ServerMetrics,
    ServerResult,
)
from sizeup_loadtest.errors import FolderError
from sizeup_loadtest.workload.schedule import Plan

_RECORD = TypeAdapter(Record)

RECORD_FILES = ("records.jsonl", "records.jsonl.gz")
_BEFORE_RESULTS = frozenset({"config.json", "plan.json", "run.json", RECORD_FILES[0]})

Schema = TypeVar("Schema")


@contextmanager
def faults_of(where: Path | str) -> Iterator[None]:
    """Turn a file that cannot be read, parsed or written into a FolderError of one line."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{where}: {error.strerror}") from None
    except ValidationError as error:
        raise FolderError(f"{where}: {schema_mismatch(error)}") from None


class RunInfo(BaseModel):
    """run.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool_version: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    environment: Mapping[str, str]
    loop_lag: Lag | None
    stage_lag: Mapping[str, Lag] = {}
    """Event loop lag by stage, of all models together."""
    server_metrics: Mapping[str, Mapping[str, ServerMetrics]] = {}
    """Model -> stage -> what its server's metrics said meanwhile."""
    model_info: Mapping[str, ModelInfo] = {}
    servers: Mapping[str, ServerResult] = {}
    """By model."""
    load_seconds: Mapping[str, float] = {}
    """Measured cold starts, by model."""
    invalid_models: Mapping[str, str] = {}
    """Model -> why it was not measured."""
    notes: tuple[str, ...] = ()
    """What was left out because of the budget."""
    complete: bool = True
    """False when the run was interrupted."""
    share_done: float | None = None
    """Of the whole run, where it was interrupted."""


class CapacityFile(BaseModel):
    """capacity.json, by model."""

    results: Mapping[str, CapacityResult]


class AbilityFile(BaseModel):
    """ability.json."""

    results: Mapping[str, AbilityResult]
    """By model."""
    paired: tuple[Paired, ...] = ()
    """Only `only_a_correct`, `only_b_correct` and `mcnemar_p` are set; `stage` is None."""


class SuitesFile(BaseModel):
    """suites.json."""

    results: Mapping[str, Mapping[str, SuiteScore]]
    """Model -> suite -> score."""
    failed: Mapping[str, str] = {}
    """Model -> why suites of it have no score."""


@dataclass(slots=True)
class Recorder:
    """Appends records to an open file, as JSON Lines."""

    stream: IO[bytes]
    name: str = RECORD_FILES[0]
    """Of the file in errors."""
    _error: OSError | None = None

    def add(self, record: Record) -> None:
        """Write a record to the buffer; an error is raised by `flush`, and ends the file."""
        try:
            if self._error is None:
                self.stream.write(_RECORD.dump_json(record) + b"\n")
        except OSError as error:
            self._error = error

    def flush(self) -> None:
        """Write the buffer; FolderError when that fails, as on a full disk."""
        try:
            if self._error is None:
                self.stream.flush()
        except OSError as error:
            self._error = error
        if self._error is not None:
            raise FolderError(f"{self.name}: {self._error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of what `flush` has reported
            self.stream.close()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """An existing folder of a run; FolderError names a file that cannot be read or written."""

    path: Path
    _unwritten: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Create a folder; an existing one has to be empty, or of a run that measured nothing."""
        folder = cls(path)
        with faults_of(path):
            path.mkdir(parents=True, exist_ok=True)
            files = list(path.iterdir())
            if files and not folder._measured_nothing({file.name for file in files}):
                raise FolderError(f"{path}: not empty; give another folder with --out")
            for file in files:
                file.unlink()
        return folder

    def _measured_nothing(self, files: Set[str]) -> bool:
        """Whether a run has ended here, and before its first measurement."""
        if not {"run.json"} <= files <= _BEFORE_RESULTS:
            return False
        return all(record.planned.warm_up for record in self.records())

    def begin(self, config: Config, plan: Plan) -> None:
        self.write_json("config", config)
        self.write("plan.json", TypeAdapter(Plan).dump_json(plan))

    def recorder(self) -> Recorder:
        with faults_of(self.path):
            return Recorder((self.path / RECORD_FILES[0]).open("ab"), f"{self.path}")

    def write(self, name: str, data: bytes) -> None:
        """Write a file; after a FolderError its content can still be read from this object."""
        file = self.path / name
        with faults_of(file):
            try:
                file.write_bytes(data)
            except OSError:
                self._unwritten[name] = data
                with suppress(OSError):  # half a file is worse than none
                    file.unlink()
                raise

    def write_json(self, name: str, value: BaseModel) -> None:
        """Write <name>.json."""
        self.write(f"{name}.json", value.model_dump_json(indent=1).encode())

    def config(self) -> Config:
        return self.read("config.json", Config)

    def plan(self) -> Plan:
        return self.read("plan.json", Plan)

    def info(self) -> RunInfo:
        return self.read("run.json", RunInfo)

    def results(self) -> Results:
        return self.read("results.json", Results)

    def read_json(self, name: str, schema: type[Schema]) -> Schema | None:
        """Read <name>.json; None when that phase did not run."""
        file = f"{name}.json"
        exists = file in self._unwritten or (self.path / file).exists()
        return self.read(file, schema) if exists else None

    def read(self, name: str, schema: type[Schema]) -> Schema:
        with faults_of(self.path / name):
            data = self._unwritten.get(name) or (self.path / name).read_bytes()
            return TypeAdapter(schema).validate_json(data)

    def records(self) -> Iterator[Record]:
        """Yield the records; an incomplete last line is skipped."""
        plain, packed = (self.path / name for name in RECORD_FILES)
        try:
            with plain.open("rb") if plain.exists() else gzip.open(packed, "rb") as lines:
                yield from _parsed(lines, self.path)
        except OSError as error:
            raise FolderError(f"{self.path}: no records: {error}") from None

    @property
    def has_records(self) -> bool:
        return any((self.path / name).is_file() for name in RECORD_FILES)


def _parsed(lines: Iterable[bytes], folder: Path) -> Iterator[Record]:
    """Parse lines of records; FolderError for a complete line that is invalid."""
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        with faults_of(f"{folder}: record {number}"):
            record = _RECORD.validate_json(line)
        yield record


def read_results(path: Path) -> Results:
    """Read the results of a run, of which `path` is the folder or results.json alone."""
    if path.is_dir():
        return RunFolder(path).results()
    return RunFolder(path.parent).read(path.name, Results)


def read_records(before: Path, after: Path) -> tuple[list[Record], list[Record]] | None:
    """Read the records of two runs, or None where one has none beside its results."""
    first, second = RunFolder(before), RunFolder(after)
    if not (first.has_records and second.has_records):
        return None
    return list(first.records()), list(second.records())


def write_text(path: Path, text: str) -> None:
    """Write a text file; FolderError when that fails."""
    with faults_of(path):
        path.write_text(text, encoding="utf-8", errors="replace")


def schema_mismatch(error: ValidationError) -> str:
    """Return in one line how a file deviates from the schema of this version."""
    first, *more = error.errors(include_url=False, include_input=False)
    path, message = ".".join(map(str, first["loc"])), first["msg"]
    if first["type"] == "json_invalid":
        return f"invalid or incomplete JSON ({message.removeprefix('Invalid JSON: ')})"
    others = f", and {len(more)} more" if more else ""
    return f"does not match the schema of this version: {path or 'top level'} ({message}){others}"
