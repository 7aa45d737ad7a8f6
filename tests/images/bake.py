"""docker-bake.hcl as data, for the tests and for machines without Docker.

Reads the part of HCL that the file uses: blocks of `key = value`, with string, list or map values.
Where buildx is installed, test_bake.py compares the result with its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TEXT = (ROOT / "docker-bake.hcl").read_text(encoding="utf-8")
_INHERITED = "_image"


@dataclass(frozen=True, slots=True)
class Target:
    """A target: one image."""

    dockerfile: Path
    stage: str | None
    """The Dockerfile's stage; None is the last one."""
    arguments: Mapping[str, str]
    """Build arguments, with the variable that each is set from."""
    tag: str
    """With the variables PREFIX and TAG."""

    def reference(self, tag: str, registry: str = "") -> str:
        """Return the image's name; `registry` is a host or host/path, empty for none."""
        prefix = f"{registry}/" if registry else ""
        return self.tag.replace("${PREFIX}", prefix).replace("${TAG}", tag)

    @property
    def repository(self) -> str:
        """The image's name without registry and tag."""
        return self.reference("").partition(":")[0]


def _blocks(kind: str) -> dict[str, str]:
    """Return the bodies of all blocks of a kind, by name."""
    block = rf'^{kind} "([\w-]+)" \{{(?: ([^\n]*) |\n(.*?)^)\}}$'
    found = re.finditer(block, _TEXT, re.MULTILINE | re.DOTALL)
    return {match[1]: match[2] or match[3] for match in found}


def _strings(body: str, key: str) -> list[str]:
    """Return the string or the strings that a key is set to; none where it is not set."""
    value = re.search(rf"\b{key} += (.+)", body)
    return re.findall(r'"([^"]*)"', value[1]) if value else []


def _arguments(body: str) -> dict[str, str]:
    value = re.search(r"\bargs += \{(.*?)\}", body, re.DOTALL)
    return dict(re.findall(r"(\w+) += (\w+)", value[1])) if value else {}


def _target(body: str) -> Target:
    (dockerfile,), (tag,) = _strings(body, "dockerfile"), _strings(body, "tags")
    stage = _strings(body, "target")
    arguments = _arguments(_blocks("target")[_INHERITED]) | _arguments(body)
    return Target(ROOT / dockerfile, stage[0] if stage else None, arguments, tag)


def _default(body: str) -> str | None:
    """Return a variable's default if it is a plain string."""
    value = re.fullmatch(r'default = "([^"]*)"', body)
    return value[1] if value else None


VARIABLES = {name: _default(body) for name, body in _blocks("variable").items()}
"""Defaults, by name; None where unset or computed."""
TARGETS = {name: _target(body) for name, body in _blocks("target").items() if name != _INHERITED}
DEFAULT = tuple(_strings(_blocks("group")["default"], "targets"))
"""Targets that are built when none is named: those of a cluster without GPUs."""
VERSION = VARIABLES["TAG"] or ""
BASE = VARIABLES["BASE"] or ""
