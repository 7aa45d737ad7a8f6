"""checkov over all variants of the chart. It has its own environment: see the Makefile."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import VARIANTS, pods, render

CHECKOV = Path(f"{sys.prefix}-checkov") / "bin" / "checkov"
EXCEPTIONS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text())

needs_checkov = pytest.mark.skipif(
    not CHECKOV.exists(), reason=f"{CHECKOV} not found: `make test` installs it"
)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return check id and resource of every failed check."""
    folder = tmp_path_factory.mktemp("checkov")
    workloads = write_distinct(folder)
    command = [str(CHECKOV), "--framework", "kubernetes", "--directory", str(folder)]
    command += ["--output", "json"]
    done = subprocess.run(
        [*command, "--compact", "--quiet", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    found = {
        (failed["check_id"], failed["resource"].replace(".models.", "/"))
        for failed in json.loads(done.stdout)["results"]["failed_checks"]
    }
    # No workload has only images with a digest, so one without this finding was not read.
    assert {resource for check, resource in found if check == "CKV_K8S_43"} == workloads
    return found


def write_distinct(folder: Path) -> set[str]:
    """Write a file per variant, without the objects of earlier ones; return all workloads."""
    seen: set[str] = set()
    workloads: set[str] = set()
    for variant, values in VARIANTS.items():
        objects = render(values)
        workloads.update(name for name, _ in pods(objects))
        added = [text for text in map(json.dumps, objects) if text not in seen]
        (folder / f"{variant}.yaml").write_text("\n---\n".join(added))
        seen.update(added)
    return workloads


def is_excepted(check: str, resource: str) -> bool:
    """Whether checkov.yaml lists a failed check."""
    patterns = EXCEPTIONS.get(check, {}).get("resources", [])
    return any(re.fullmatch(pattern, resource) for pattern in patterns)


@needs_checkov
def test_failed_checks_are_excepted(failures: set[tuple[str, str]]) -> None:
    assert {failure for failure in failures if not is_excepted(*failure)} == set()


@needs_checkov
def test_every_exception_is_in_use(failures: set[tuple[str, str]]) -> None:
    for check, exception in EXCEPTIONS.items():
        for pattern in exception["resources"]:
            assert any(c == check and re.fullmatch(pattern, r) for c, r in failures), pattern


def test_every_exception_has_a_reason() -> None:
    for check, exception in EXCEPTIONS.items():
        assert len(exception["why"].split()) > 8, check
