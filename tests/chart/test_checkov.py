"""checkov over what the chart makes. It lives in an environment of its own: see the Makefile."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import EVERYTHING, render

CHECKOV = Path(f"{sys.prefix}-checkov") / "bin" / "checkov"
EXCEPTIONS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text())

needs_checkov = pytest.mark.skipif(
    not CHECKOV.exists(), reason=f"no {CHECKOV}: `make test` installs it"
)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return each failed check with the object it failed for."""
    file = tmp_path_factory.mktemp("checkov") / "chart.yaml"
    file.write_text(yaml.safe_dump_all(render(EVERYTHING)))
    command = [str(CHECKOV), "--framework", "kubernetes", "--file", str(file), "--output", "json"]
    done = subprocess.run(
        [*command, "--compact", "--quiet", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 0 or report["results"]["failed_checks"]
    return {
        (failed["check_id"], failed["resource"].replace(".models.", "/"))
        for failed in report["results"]["failed_checks"]
    }


def excused(check: str, resource: str) -> bool:
    """Tell whether an exception explains a failed check."""
    patterns = EXCEPTIONS.get(check, {}).get("resources", [])
    return any(re.fullmatch(pattern, resource) for pattern in patterns)


@needs_checkov
def test_what_checkov_finds_is_explained(failures: set[tuple[str, str]]) -> None:
    assert {failure for failure in failures if not excused(*failure)} == set()


@needs_checkov
def test_every_exception_is_needed(failures: set[tuple[str, str]]) -> None:
    for check, exception in EXCEPTIONS.items():
        for pattern in exception["resources"]:
            assert any(c == check and re.fullmatch(pattern, r) for c, r in failures), pattern


def test_every_exception_says_why() -> None:
    for check, exception in EXCEPTIONS.items():
        assert len(exception["why"].split()) > 8, check
