"""The workflows use existing targets and variables of the Makefile."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VERBS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def commands() -> Iterator[str]:
    """Yield every command of every step."""
    for file in WORKFLOWS:
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)


def variables() -> Iterator[str]:
    """Yield the environment variables of every job."""
    for file in WORKFLOWS:
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            yield from job.get("env", {})


def test_every_check_of_the_house_has_a_workflow() -> None:
    verbs = {shlex.split(command)[1] for command in commands()}
    assert {"check", "test", "cluster-test", "images", "audit"} <= verbs


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_step_is_a_verb_of_make(command: str) -> None:
    program, verb, *words = shlex.split(command)
    assert program == "make"
    assert verb in VERBS
    assert {word.partition("=")[0] for word in words} <= VARIABLES


def test_an_action_is_a_commit() -> None:
    """A tag can be moved. The comment is what dependabot updates with the commit."""
    used = [line for file in WORKFLOWS for line in file.read_text().splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_published_images_have_an_sbom_and_their_provenance() -> None:
    [push] = [command for command in commands() if command.startswith("make push")]
    assert "ATTEST=true" in shlex.split(push)


def test_a_job_s_environment_is_read_by_make() -> None:
    assert set(variables()) <= VARIABLES
