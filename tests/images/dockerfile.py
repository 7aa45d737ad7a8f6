"""Dockerfiles and .dockerignore as data: the part of their syntax that ours use."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

_LAST = "(last)"
"""Name of the stage without one."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    rest: str
    stage: str
    """Name of its stage; empty before the first FROM."""

    @property
    def words(self) -> list[str]:
        """The words after the name, without options."""
        return [word for word in self.rest.split() if not word.startswith("--")]

    @property
    def is_from_stage(self) -> bool:
        """Whether it copies from another stage rather than from the repository."""
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
    """Return a stage and the stages that it is FROM."""
    parents = {i.stage: i.words[0] for i in instructions if i.name == "FROM"}
    stage = target or list(parents)[-1]
    found = set()
    while stage in parents:
        found.add(stage)
        stage = parents[stage]
    return found


def is_in_context(path: str, ignore_file: str) -> bool:
    """Return whether .dockerignore includes a path of the repository in the build context.

    The last pattern that matches the path or a folder above it decides.
    """
    included = True
    file = PurePosixPath(path)
    paths = [str(parent) for parent in (file, *file.parents) if str(parent) != "."]
    for line in filter(
        None, (re.sub(r"#.*", "", line).strip() for line in ignore_file.split("\n"))
    ):
        pattern = line.removeprefix("!")
        if any(_matches(parent, pattern) for parent in paths):
            included = line.startswith("!")
    return included


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(PurePosixPath(path).name, pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)
