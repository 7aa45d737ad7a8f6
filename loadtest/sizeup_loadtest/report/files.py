"""The report files of a run, by format."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report import csv, html, markdown
from sizeup_loadtest.storage.run_folder import RunFolder

RENDERERS: Mapping[str, Callable[[Results], str]] = {
    ".html": html.render,
    ".md": markdown.render,
    ".csv": csv.render,
}
"""By file suffix."""


def write(folder: RunFolder, results: Results) -> Sequence[Path]:
    """Write the reports that the config enables, and return their paths, the page first."""
    config = folder.config().report
    enabled = {".html": config.html, ".md": config.markdown, ".csv": config.csv}
    paths = [folder.path / f"report{suffix}" for suffix in RENDERERS if enabled[suffix]]
    for path in paths:
        folder.write(path.name, RENDERERS[path.suffix](results).encode())
    return paths
