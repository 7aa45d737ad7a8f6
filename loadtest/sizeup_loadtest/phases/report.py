"""The run as a page, as tables in Markdown, and as CSV, beside its results."""

from collections.abc import Sequence
from pathlib import Path

from sizeup_loadtest.data.results import Results
from sizeup_loadtest.execution.run import Finisher
from sizeup_loadtest.report import csv, html, markdown
from sizeup_loadtest.storage.run_folder import RunFolder


def write(folder: RunFolder, results: Results) -> Sequence[Path]:
    """Write what the config asks for; the page first."""
    asked = folder.config().report
    made = {
        "report.html": html.render if asked.html else None,
        "report.md": markdown.render if asked.markdown else None,
        "report.csv": csv.render if asked.csv else None,
    }
    written = []
    for name, render in made.items():
        if render is not None:
            folder.write(name, render(results).encode())
            written.append(folder.path / name)
    return written


FINISHER = Finisher("report", write)
