"""Dockerfiles and .dockerignore as data: as much of their grammar as ours use."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

_LAST = "(last)"
"""Of the stage without a name."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    rest: str
    stage: str
    """Name of the stage it stands in; empty before the first FROM."""

    @property
    def words(self) -> list[str]:
        """What follows the name, options left out."""
        return [word for word in self.rest.split() if not word.startswith("--")]

    @property
    def is_from_stage(self) -> bool:
        """Tell whether a COPY takes from another stage, not from the repository."""
        return "--from=" in self.rest


def read_dockerfile(path: Path) -> list[Instruction]:
    """Return the instructions of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    instructions, stage = [], ""
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stage = rest.partition(" AS ")[2] or _LAST
        instructions.append(Instruction(name, rest, stage))
    return instructions


def stages_of(instructions: list[Instruction], target: str | None) -> set[str]:
    """Return a target and the stages it is made FROM: what ends up in its image."""
    parents = {i.stage: i.words[0] for i in instructions if i.name == "FROM"}
    stage = target or list(parents)[-1]
    found = set()
    while stage in parents:
        found.add(stage)
        stage = parents[stage]
    return found


def is_sent(path: str, ignore_file: str) -> bool:
    """Tell whether .dockerignore lets a path of the repository into the build's context.

    The last pattern that matches the path or a folder above it decides.
    """
    sent = True
    here = PurePosixPath(path)
    places = [str(place) for place in (here, *here.parents) if str(place) != "."]
    for line in filter(
        None, (re.sub(r"#.*", "", line).strip() for line in ignore_file.split("\n"))
    ):
        pattern = line.removeprefix("!")
        if any(_matches(place, pattern) for place in places):
            sent = line.startswith("!")
    return sent


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(PurePosixPath(path).name, pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)
