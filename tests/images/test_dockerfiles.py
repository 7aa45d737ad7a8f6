"""The Dockerfiles, read and not built; tests/cluster builds and runs the images."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.bake import ROOT, TARGETS
from images.dockerfile import Instruction, is_in_context, read_dockerfile, stages_of

DOCKERFILES = sorted((ROOT / "images").rglob("Dockerfile"))
IGNORED = (ROOT / ".dockerignore").read_text()
TOYS = ("models/toy/toy-0.5m", "models/toy/toy-2m", "models/toy/toy-5m")


@dataclass(frozen=True)
class Runtime:
    """The instructions of an image: of its target's stage and of the stages that it is FROM."""

    name: str
    instructions: list[Instruction]

    def only(self, name: str) -> list[str]:
        """Return the rest of each instruction of that name."""
        return [i.rest for i in self.instructions if i.name == name]


@pytest.fixture(params=list(TARGETS))
def runtime(request: pytest.FixtureRequest) -> Runtime:
    target = TARGETS[request.param]
    instructions = read_dockerfile(target.dockerfile)
    stages = stages_of(instructions, target.stage)
    return Runtime(request.param, [i for i in instructions if i.stage in stages])


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.parent.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_copied_files_exist_and_are_in_the_context(dockerfile: Path) -> None:
    copies = [i for i in read_dockerfile(dockerfile) if i.name == "COPY" and not i.is_from_stage]
    sources = [source for copy in copies for source in copy.words[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_in_context(source, IGNORED), source


def test_stages_copied_from_exist(dockerfile: Path) -> None:
    instructions = read_dockerfile(dockerfile)
    stages = {i.stage for i in instructions}
    for copy in (i for i in instructions if i.is_from_stage):
        assert copy.rest.split("--from=")[1].split()[0] in stages


def test_every_base_is_the_build_argument(dockerfile: Path) -> None:
    instructions = read_dockerfile(dockerfile)
    assert instructions[0].name == "ARG"
    assert instructions[0].rest.startswith("BASE_IMAGE=")
    stages = {i.stage for i in instructions}
    bases = {i.words[0] for i in instructions if i.name == "FROM"} - stages
    assert bases == {"${BASE_IMAGE}"}


def test_it_runs_as_an_unprivileged_user(runtime: Runtime) -> None:
    assert runtime.only("USER")[-1] == "10001:10001"


def test_the_entrypoint_is_no_shell(runtime: Runtime) -> None:
    """A shell would not forward SIGTERM."""
    [entrypoint] = runtime.only("ENTRYPOINT")
    assert isinstance(json.loads(entrypoint), list)


def test_only_weights_of_the_toy_models_are_copied(runtime: Runtime) -> None:
    copied = [i.words[0] for i in runtime.instructions if i.name == "COPY"]
    models = sorted(source for source in copied if source.startswith("models"))
    assert models == (sorted(TOYS) if runtime.name == "toys" else [])
    assert {source for source in copied if not source.startswith("models")} == {"/opt/sizeup"}


def test_nothing_is_compiled_or_installed_by_pip_at_run_time(runtime: Runtime) -> None:
    for command in runtime.only("RUN"):
        assert not {"gcc", "python3-dev", "/opt/pip/bin/pip"} & set(command.split())


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".venv-other/bin/python",
        ".cluster/bin/kubelet",
        "README.md",
        "locks/make_locks.py",
        "tests/hub_server.py",
        "tests/loadtest/test_cli.py",
        "loadtest/sizeup_loadtest.egg-info/PKG-INFO",
        "models/toy/train.py",
        "models/other/model.safetensors",
        "docs/architecture.md",
        "services/cli/sizeup/__pycache__/main.cpython-311.pyc",
        "services/cli/sizeup.egg-info/PKG-INFO",
        "services/inference/sizeup_inference/engine/kernels/_decode_attention.so",
        "services/inference/build/lib/x.py",
        "services/gateway/.env",
        "models/toy/toy-5m/.cache/x",
    ],
)
def test_other_files_are_not_in_the_context(path: str) -> None:
    assert not is_in_context(path, IGNORED)


@pytest.mark.parametrize(
    "path",
    [
        "locks/gateway.txt",
        "services/wire/sizeup_wire/catalog.py",
        "services/inference/sizeup_inference/engine/kernels/c/decoder.c",
        "services/inference/sizeup_inference/engine/kernels/c/decoder.h",
        "services/cli/sizeup/models/qwen.yaml",
        "loadtest/sizeup_loadtest/scenarios/smoke.yaml",
        "loadtest/sizeup_loadtest/workload/chat.yaml",
        "models/toy/toy-0.5m/model.safetensors",
    ],
)
def test_files_of_images_are_in_the_context(path: str) -> None:
    assert (ROOT / path).exists()
    assert is_in_context(path, IGNORED)


def test_every_local_dependency_is_copied(dockerfile: Path) -> None:
    """pip would look for a missing distribution in the package index."""
    copies = [i.words[0] for i in read_dockerfile(dockerfile) if i.name == "COPY"]
    copied = {source for source in copies if (ROOT / source / "pyproject.toml").is_file()}
    needed: set[str] = set()
    for folder in copied:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
        names = (re.split(r"[^\w-]", d)[0] for d in project["project"]["dependencies"])
        needed |= {name.removeprefix("sizeup-") for name in names if name.startswith("sizeup-")}
    assert needed <= {Path(folder).name for folder in copied}
