"""Console output of `up`: live bars on a terminal, plain lines elsewhere."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sizeup.deployment import readiness
from sizeup.deployment.plan import Options
from sizeup.models.local_models import LocalModel
from sizeup.settings import DEFAULT_PORT
from sizeup_wire.model import ModelInfo

_QUESTION = "What is 12 + 30?"


class PipeSafeConsole(Console):
    """A console that survives a closed pipe: `up` keeps serving without its output."""

    def on_broken_pipe(self) -> None:
        """Stop printing; Python's flush at exit goes to /dev/null."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())
        os.close(null)


class Report:
    """One line per change of stage, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[str, str] = {}

    def note(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def progress(self, name: str, progress: readiness.Progress) -> None:
        """Print each stage of a start once; the last is ready."""
        if self._stages.get(name) != progress.stage:
            self._stages[name] = progress.stage
            self.note(f"{name}: {progress.stage}")

    def exited(self, name: str, reason: str, wait_seconds: float) -> None:
        """A child exited unexpectedly and is restarted after the wait."""
        self._stages.pop(name, None)
        self.note(f"{name} exited ({reason}); restarting in {wait_seconds:g} s")

    def unloaded(self, name: str) -> None:
        """A child exited because it was scaled to zero."""
        self._stages.pop(name, None)
        self.note(f"{name}: unloaded")

    def finish(self) -> None:
        """Do nothing: there are no live bars."""


class LiveReport(Report):
    """A bar per child until it is ready; lines above them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Progress(
            TextColumn("{task.fields[name]}"),
            BarColumn(),
            TextColumn("{task.fields[stage]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = True
        self._bars.start()

    def progress(self, name: str, progress: readiness.Progress) -> None:
        """Move a bar; after finish, print lines."""
        if not self._live:
            super().progress(name, progress)
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=1.0, name=name, stage="")
        self._bars.update(self._tasks[name], completed=progress.fraction, stage=progress.stage)

    def finish(self) -> None:
        self._live = False
        self._bars.stop()


def make_report(console: Console) -> Report:
    return LiveReport(console) if console.is_terminal else Report(console)


def models_table(models: Sequence[LocalModel], infos: Sequence[ModelInfo]) -> Table:
    table = Table(title="ready")
    for heading in ("name", "id"):
        table.add_column(heading, no_wrap=True)
    for heading in ("parameters", "layers", "dtype", "weights MiB"):
        table.add_column(heading, justify="right")
    for model, info in zip(models, infos, strict=True):
        table.add_row(
            model.entry.names[0],
            info.id,
            f"{info.parameters:,}",
            str(info.layers),
            info.quantization or info.dtype,
            f"{info.weight_bytes / 2**20:.1f}",
        )
    return table


def example_commands(model: LocalModel, info: ModelInfo, options: Options) -> list[str]:
    """Return commands that query one model by both APIs and by sizeup itself."""
    name, url = model.entry.names[0], options.local_url
    if "completion" not in info.capabilities:
        text = json.dumps({"model": name, "input": _QUESTION})
        return [f"curl {url}{path} -d '{text}'" for path in ("/api/embed", "/v1/embeddings")]
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": _QUESTION}]})
    url_option = "" if options.port == DEFAULT_PORT else f" --url {url}"
    return [
        f"curl {url}/api/chat -d '{body}'",
        f"curl {url}/v1/chat/completions -d '{body}'",
        f'{sizeup_command()} ask {name} "{_QUESTION}"{url_option}',
        f"{sizeup_command()} chat {name}{url_option}",
    ]


def sizeup_command() -> str:
    """Return how to call this command: by name if it is on PATH, else by path.

    `make run` installs into a virtual environment that is not on PATH.
    """
    script = Path(sys.argv[0])
    if script.name != "sizeup" or shutil.which("sizeup") == str(script):
        return "sizeup"
    return os.path.relpath(script)
