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
    from sizeup_loadtest import compare, reading
    from sizeup_loadtest.report import changes

    before, after = reading.results(first), reading.results(second)
    compared = compare.runs(before, after, reading.events(first, second))
    text = changes.render(before, after, compared)
    if out is None:
        typer.echo(text, nl=False)
    else:
        reading.write(out, text)
        typer.echo(out)
