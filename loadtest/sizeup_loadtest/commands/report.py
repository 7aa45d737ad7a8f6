"""`sizeup-bench report`."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="Folder of a run, or a results.json.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="What to write: .html, .md or .csv by its ending.")
]


def command(run: Run, out: Out = Path("report.html")) -> None:
    """Write a run's report again, without measuring anything."""
    from sizeup_loadtest.errors import UsageError
    from sizeup_loadtest.report import csv, html, markdown
    from sizeup_loadtest.storage import read_run

    renders = {".html": html.render, ".md": markdown.render, ".csv": csv.render}
    render = renders.get(out.suffix.lower())
    if render is None:
        raise UsageError(f"{out}: the ending must be one of {', '.join(renders)}")
    read_run.write(out, render(read_run.results(run)))
    typer.echo(out)
