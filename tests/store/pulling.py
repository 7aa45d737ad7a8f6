"""Pull from the loopback hub, in this process or as a command."""

import os
import subprocess
import sys
from pathlib import Path

from hub_server import MODEL_ID, HubServer
from sizeup_store.hub import HubOptions
from sizeup_store.pull import pull
from sizeup_store.pull_report import PullReport
from sizeup_store.weights import WeightsError, find_model, verify

DEADLINE_SECONDS = 60
MAIN = "from sizeup.main import main; main()"


class RecordingReport(PullReport):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.retries: list[str] = []
        self.sizes: dict[str, int] = {}
        self.downloaded: dict[str, int] = {}

    def note(self, line: str) -> None:
        self.notes.append(line)

    def file(self, name: str, size: int) -> None:
        super().file(name, size)
        self.sizes[name] = size
        self.downloaded[name] = 0

    def resumed(self, size: int) -> None:
        super().resumed(size)
        self.downloaded[list(self.downloaded)[-1]] += size

    def received(self, size: int) -> None:
        super().received(size)
        self.downloaded[list(self.downloaded)[-1]] += size

    def retry(self, reason: str) -> None:
        super().retry(reason)
        self.retries.append(reason)


def run_pull(
    server: HubServer,
    cache: Path,
    *,
    revision: str = "main",
    token: str | None = None,
    silence_seconds: float = 5.0,
    report: RecordingReport | None = None,
    offline: bool = False,
    ca_file: Path | None = None,
) -> Path:
    hub = HubOptions(server.url, token, silence_seconds, 5, 0.01, ca_file)
    shown = report or RecordingReport()
    return pull(hub, MODEL_ID, revision, cache, shown, offline=offline)


def is_loadable(cache: Path, revision: str | None = None) -> bool:
    try:
        verify(find_model(MODEL_ID, revision, cache))
    except WeightsError:
        return False
    return True


def partial_files(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


def pull_command(
    server: HubServer,
    cache: Path,
    program: str = MAIN,
    *arguments: str,
    **environment: str,
) -> subprocess.Popen[bytes]:
    settings = {"SIZEUP_HUB_BACKOFF_SECONDS": "0.01", "HF_ENDPOINT": server.url}
    return subprocess.Popen(
        [sys.executable, "-c", program, "pull", MODEL_ID, "--cache", str(cache), *arguments],
        env={**os.environ, **settings, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
