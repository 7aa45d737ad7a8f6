"""`sizeup-bench extract`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

Log = Annotated[Path | None, typer.Argument(help="A Job's log; default: standard input.")]
Folder = Annotated[Path, typer.Option("--out", help="A new folder for the files in it.")]


def command(log: Log = None, out: Folder = Path("extracted")) -> None:
    """Get a run's files out of a Job's log: `kubectl logs job/NAME | sizeup-bench extract`."""
    from sizeup_loadtest.errors import UsageError
    from sizeup_loadtest.storage import job_log
    from sizeup_loadtest.storage.run_folder import RunFolder

    try:
        if log is None:
            files = job_log.files(sys.stdin)
        else:
            with log.open(encoding="utf-8", errors="replace") as lines:
                files = job_log.files(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{log or 'standard input'}: {error}") from None
    if not files:
        raise UsageError("no files in this log: did the run end?")
    folder = RunFolder.create(out)
    for name, data in files.items():
        folder.write(name, data)
        typer.echo(out / name)
