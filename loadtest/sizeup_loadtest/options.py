"""Options that several commands share, and what they mean together."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sizeup_loadtest.config.file import load
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import Shard, default_url, shard_index

Scenario = Annotated[
    str,
    typer.Option(
        "--scenario", "--config", "-c", help="A config file, or a scenario that comes along."
    ),
]
Url = Annotated[str | None, typer.Option(help="The server; default: the config's, SIZEUP_URL.")]
Models = Annotated[str | None, typer.Option(help="Names by comma, in place of the config's.")]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the run; default: runs/<scenario>-<time>.")
]
Shards = Annotated[int, typer.Option(min=1, max=1000, help="Processes that share the plan.")]
ShardIndex = Annotated[
    int | None, typer.Option(min=0, help="Which of them this is; default: JOB_COMPLETION_INDEX.")
]
PrintFiles = Annotated[
    bool, typer.Option("--print-files", help="Print the run's files for `extract` at the end.")
]
StartAt = Annotated[float | None, typer.Option(help="Common start of the shards, Unix seconds.")]


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How this process works together with others."""

    shard: Shard = field(default_factory=Shard)
    start_at: float | None = None
    print_files: bool = False
    """Whether the files of the run end up on standard output: where a log is all that stays."""


def read_config(scenario: str, url: str | None, models: str | None) -> Config:
    """Read the config a command line names."""
    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    return load(scenario, url=url, models=names, fallback_url=default_url())


def to_shard(shards: int, index: int | None) -> Shard:
    """Say which part of the plan is this process's."""
    if shards == 1:
        return Shard()
    return Shard(shard_index() if index is None else index, shards)


def out_folder(out: Path | None, config: Config) -> Path:
    """Name the folder of a run that begins now."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return out or Path("runs") / f"{config.scenario or 'run'}-{now}"
