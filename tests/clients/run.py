"""Run real clients against a real server, and write docs/clients.md: `make clients`.

The server is started from this environment. Clients are in node_modules, and in an environment per
folder of Python tests. One module alone, against a server that runs already:

.venv-clients-python/bin/python -m pytest -c tests/clients/pytest.ini --url http://127.0.0.1:11434
    tests/clients/python/test_ollama.py
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from clients.matrix import CLIENTS
from clients.page import Results, clients_page
from clients.questions import ENDLESS, MODEL
from clients.results import Result, read_report
from system.deployment import deployed
from system.models import make_endless

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "clients.md"
PYTHON_FOLDERS = ("python", "python_pinned")
SMALLER_MODEL = "toy:0.5m"
"""The standard tests ask for a second model by name."""


def main() -> int:
    """Return 1 if a test failed; the page is written in any case."""
    parser = argparse.ArgumentParser(description="Run the clients, and write docs/clients.md.")
    parser.add_argument("--environments", required=True, help="their path, up to the folder's name")
    prefix = parser.parse_args().environments
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_endless(folder / "hub")
        models = ("--models", f"{MODEL},{SMALLER_MODEL},{ENDLESS}", "--threads", "1")
        with deployed(folder, *models, HF_HUB_CACHE=str(folder / "hub")) as deployment:
            for tests in PYTHON_FOLDERS:
                python = Path(f"{prefix}{tests}/bin/python").absolute()
                results |= _python_results(python, tests, deployment.url, folder / f"{tests}.xml")
            for client in CLIENTS:
                if client.folder == "node":
                    results |= _node_results(client.tests, deployment.url)
    page = clients_page(CLIENTS, results, dict(_versions()), _made())
    PAGE.write_text(page, encoding="utf-8")
    return any(r.outcome == "failed" for tests in results.values() for r in tests)


def _python_results(python: Path, tests: str, url: str, report: Path) -> Results:
    argv = [str(python), "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), "--url", url, "-q"]
    subprocess.run([*argv, f"--junit-xml={report}", str(FOLDER / tests)], check=False)
    return read_report(report.read_text(encoding="utf-8"))


def _node_results(tests: str, url: str) -> Results:
    module = FOLDER / f"{tests.replace('.', '/')}.mjs"
    argv = ["node", "--test-reporter=junit", str(module)]
    environment = {**os.environ, "SIZEUP_URL": url}
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    return read_report(done.stdout, tests)


def _versions() -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what is pinned by folder and name, and the curl that is installed."""
    for folder in PYTHON_FOLDERS:
        for line in (FOLDER / folder / "requirements.txt").read_text().splitlines():
            if pin := re.match(r"(\S+)==(\S+)", line):
                yield (folder, pin[1]), pin[2]
    package = json.loads((FOLDER / "node/package.json").read_text())
    for name, version in package["dependencies"].items():
        yield ("node", name), version
    yield ("python", "curl"), _version("curl")


def _made() -> str:
    """Return when and with what the page was made."""
    day = datetime.now(UTC).date()
    return f"Made on {day} with Python {platform.python_version()} and Node {_version('node')}."


def _version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"\d[\w.]*", shown.stdout)
    assert version is not None, shown.stdout
    return version[0]


if __name__ == "__main__":
    sys.exit(main())
