"""The lock files beside what declares the requirements and what installs them."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from images.bake import TARGETS, Target
from images.dockerfile import read_dockerfile, stages_of
from locks.make_locks import ALONE, ROOT, TOGETHER, TORCH, Lock

LOCKS = (*TOGETHER, *ALONE)
CUDA = re.compile(r"torch|triton|(cuda|nvidia)-.+")
MAKEFILE = (ROOT / "Makefile").read_text()
INSTALL = re.compile(r"(?:pip(?: --python \S+)? (?:install|wheel)|\$\(PIP\)) [^\n]*")


def lines(lock: Lock) -> list[str]:
    """Return a line for each package: its pin, marker and hashes."""
    text = (ROOT / lock.file).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.startswith("#")]


def pins(lock: Lock) -> dict[str, Version]:
    found = (re.split("==| ", line, maxsplit=2)[:2] for line in lines(lock))
    return {name: Version(version) for name, version in found}


def lock_of(file: str) -> Lock:
    return next(lock for lock in LOCKS if lock.file == file)


def declared(project: Path, *extras: str) -> Iterator[Requirement]:
    """Yield the requirements of a package that are not packages of this repository."""
    table = tomllib.loads(project.read_text())["project"]
    optional = table.get("optional-dependencies", {})
    for text in (*table["dependencies"], *(one for extra in extras for one in optional[extra])):
        requirement = Requirement(text)
        if not requirement.name.startswith("sizeup"):
            yield requirement


def tools() -> Iterator[Requirement]:
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if text := line.partition("#")[0].strip():
            yield Requirement(text)


def is_met(requirement: Requirement, pinned: dict[str, Version]) -> bool:
    version = pinned.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.file)
def test_every_line_is_a_version_with_hashes(lock: Lock) -> None:
    assert lines(lock)
    for line in lines(lock):
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", line)


def test_a_package_has_one_version() -> None:
    versions: dict[str, set[Version]] = {}
    for lock in TOGETHER:
        assert len(pins(lock)) == len(lines(lock))
        for name, version in pins(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: v for name, v in versions.items() if len(v) > 1} == {}


def test_what_the_packages_require_is_locked() -> None:
    services = pins(lock_of("locks/services.txt")) | pins(TORCH)
    build = pins(lock_of("locks/build.txt"))
    for project in (*ROOT.glob("services/*/pyproject.toml"), ROOT / "loadtest/pyproject.toml"):
        extras = ("torch", "quantized") if project.parent.name == "inference" else ()
        unmet = [r for r in declared(project, *extras) if not is_met(r, services)]
        assert unmet == [], project
        for text in tomllib.loads(project.read_text())["build-system"]["requires"]:
            assert is_met(Requirement(text), build)


def test_the_tools_are_locked() -> None:
    assert [tool for tool in tools() if not is_met(tool, pins(lock_of("locks/dev.txt")))] == []


def test_cuda_is_in_the_lock_of_torch_only() -> None:
    assert set(filter(CUDA.fullmatch, pins(TORCH))) == pins(TORCH).keys()
    for lock in TOGETHER:
        assert lock is TORCH or not set(filter(CUDA.fullmatch, pins(lock)))


def copied_into(target: Target) -> set[str]:
    """Return the files and folders that the image and the stages that it is built from copy."""
    instructions = read_dockerfile(target.dockerfile)
    stages = stages_of(instructions, target.stage)
    for copy in [i for i in instructions if i.stage in stages and i.is_from_stage]:
        stages |= stages_of(instructions, copy.rest.split("--from=")[1].split()[0])
    copies = [i for i in instructions if i.stage in stages and i.name == "COPY"]
    return {word for copy in copies if not copy.is_from_stage for word in copy.words[:-1]}


@pytest.mark.parametrize("name", list(TARGETS))
def test_an_image_installs_what_its_packages_require(name: str) -> None:
    copied = copied_into(TARGETS[name])
    locks = [lock_of(file) for file in copied if file.startswith("locks/")]
    installed = {key: version for lock in locks for key, version in pins(lock).items()}
    for folder in {path for path in copied if (ROOT / path / "pyproject.toml").is_file()}:
        has_torch = folder == "services/inference" and TARGETS[name].stage != "fake"
        project = ROOT / folder / "pyproject.toml"
        required = declared(project, *(["torch"] if has_torch else []))
        assert [r for r in required if not is_met(r, installed)] == []


def installations() -> Iterator[str]:
    recipes = [line for line in MAKEFILE.replace("\\\n", " ").splitlines() if line[:1] == "\t"]
    yield from INSTALL.findall("\n".join(recipes))
    for dockerfile in sorted((ROOT / "images").rglob("Dockerfile")):
        for instruction in read_dockerfile(dockerfile):
            for command in re.split(r"&&|;", instruction.rest):
                yield from INSTALL.findall(re.sub(r"\s+", " ", command))


@pytest.mark.parametrize("command", sorted(set(installations())))
def test_nothing_is_installed_without_hashes(command: str) -> None:
    """Apart from the packages of this repository, and torch where its index is given."""
    from_lock = "--require-hashes" in command
    own = "--no-deps" in command and ("--no-build-isolation" in command or "--no-index" in command)
    torch = "--index-url" in command and "TORCH_INDEX" in command
    assert from_lock or own or torch


def test_vulnerabilities_are_looked_up_for_every_lock() -> None:
    [pattern] = re.findall(r"^LOCKS := ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    globs = re.sub(r"\$\(wildcard (\S+)\)|\\\n", lambda m: f"{m[1] or ''} ", pattern).split()
    audited = {str(path.relative_to(ROOT)) for glob in globs for path in ROOT.glob(glob)}
    assert audited == {lock.file for lock in LOCKS}
