"""Commands and configs in docs/loadtest.md are valid."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from sizeup_loadtest import main as command_line
from sizeup_loadtest.config import file

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "loadtest.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`(\.venv/bin/sizeup-bench [^`]+)`", DOC)


def commands() -> list[list[str]]:
    """Return the arguments of every sizeup-bench command on the page."""
    shell = "\n".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    found = re.findall(r"sizeup-bench ([^\n|]+)", "\n".join([shell, *INLINE]))
    return [shlex.split(line) for line in found]


def configs() -> list[str]:
    """Return every config on the page: of a run, or in chart values."""
    parsed = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
    return [json.dumps(one.get("loadtest", {"config": one})["config"]) for one in parsed]


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_line_parses(arguments: list[str]) -> None:
    group = typer.main.get_command(command_line.build())
    with group.make_context("sizeup-bench", arguments, resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, arguments)  # type: ignore[attr-defined]
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("text", configs())
def test_every_config_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert file.load(str(tmp_path / "mine.yaml")).models


def test_every_scenario_is_named() -> None:
    assert [name for name in file.scenarios() if f"`{name}`" not in DOC] == []


def test_links_resolve() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", DOC)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_there_are_commands_and_configs() -> None:
    assert len(commands()) >= 9
    assert len(configs()) == 3
