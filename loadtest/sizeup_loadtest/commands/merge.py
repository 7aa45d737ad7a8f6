"""`sizeup-bench merge`."""

from pathlib import Path
from typing import Annotated

import typer

Shards = Annotated[list[Path], typer.Argument(help="The folders of one run's shards.")]
Merged = Annotated[Path, typer.Option("--out", help="A new folder for all of them together.")]


def command(shards: Shards, out: Merged = Path("merged")) -> None:
    """Merge the shards of a run: figures are made anew from all raw events."""
    from rich.console import Console

    from sizeup_loadtest.execution import start
    from sizeup_loadtest.storage import merge_shards as rooms
    from sizeup_loadtest.storage.run_folder import RunFolder

    folder = rooms.merge([RunFolder(path) for path in shards], out)
    start.finish(folder, Console())
