"""`sizeup-bench compare`."""

from pathlib import Path
from typing import Annotated

import typer

First = Annotated[Path, typer.Argument(help="Folder of the first run, or its results.json.")]
Second = Annotated[Path, typer.Argument(help="Folder of the second run, or its results.json.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write Markdown here; default: print.")
]


def command(first: First, second: Second, out: Out = None) -> None:
    """Compare two runs with intervals, request by request where both folders hold raw events."""
    from sizeup_loadtest.analysis import compare
    from sizeup_loadtest.report import comparison
    from sizeup_loadtest.storage import read_run

    before, after = read_run.results(first), read_run.results(second)
    compared = compare.runs(before, after, read_run.events(first, second))
    text = comparison.render(before, after, compared)
    if out is None:
        typer.echo(text, nl=False)
    else:
        read_run.write(out, text)
        typer.echo(out)
