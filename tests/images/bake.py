"""docker-bake.hcl as data, for the tests and for machines without Docker."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parents[2]
_FILE = ROOT / "docker-bake.hcl"
_BLOCKS: Any = hcl2.loads(
    _FILE.read_text(encoding="utf-8"),
    serialization_options=hcl2.SerializationOptions(
        with_comments=False, explicit_blocks=False, strip_string_quotes=True
    ),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A target: one image."""

    dockerfile: Path
    stage: str | None
    """The Dockerfile's stage; None is the last one."""
    arguments: Mapping[str, str]
    """Build arguments, by the name of the variable that each is set from."""
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


def _blocks(kind: str) -> dict[str, dict[str, Any]]:
    return {name: body for block in _BLOCKS[kind] for name, body in block.items()}


def _target(body: Mapping[str, Any], inherited: Mapping[str, Any]) -> Target:
    arguments = {**inherited["args"], **body.get("args", {})}
    (tag,) = body["tags"]
    return Target(
        dockerfile=ROOT / body["dockerfile"],
        stage=body.get("target"),
        arguments={name: re.sub(r"\W", "", variable) for name, variable in arguments.items()},
        tag=tag,
    )


VARIABLES = {name: body["default"] for name, body in _blocks("variable").items()}
"""The default of each variable."""
TARGETS = {
    name: _target(body, _blocks("target")["_image"])
    for name, body in _blocks("target").items()
    if not name.startswith("_")
}
DEFAULT: tuple[str, ...] = tuple(_blocks("group")["default"]["targets"])
"""Targets that are built when none is named: those of a cluster without GPUs."""
VERSION: str = VARIABLES["TAG"]
