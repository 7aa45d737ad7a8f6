"""checkov over every shape of the chart. It has an environment of its own: see the Makefile."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import VARIANTS, render

CHECKOV = Path(f"{sys.prefix}-checkov") / "bin" / "checkov"
EXCEPTIONS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text())

needs_checkov = pytest.mark.skipif(
    not CHECKOV.exists(), reason=f"no {CHECKOV}: `make test` installs it"
)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return each failed check with the object it failed for."""
    folder = tmp_path_factory.mktemp("checkov")
    for variant, values in VARIANTS.items():
        (folder / f"{variant}.yaml").write_text(yaml.safe_dump_all(render(values)))
    command = [str(CHECKOV), "--framework", "kubernetes", "--directory", str(folder)]
    command += ["--output", "json"]
    done = subprocess.run(
        [*command, "--compact", "--quiet", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    report = json.loads(done.stdout)
    assert {Path(failed["file_path"]).stem for failed in report["results"]["failed_checks"]} == set(
        VARIANTS
    ), "each shape has images that a digest does not name"
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
