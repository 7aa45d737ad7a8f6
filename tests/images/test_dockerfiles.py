"""What can be said of the images without building them; tests/cluster builds and runs them."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from images.build import DEFAULT, RECIPES, REGISTRY, ROOT, chart_version
from images.dockerfile import Instruction, is_sent, read_dockerfile, stages_of

DOCKERFILES = sorted((ROOT / "images").rglob("Dockerfile"))
IGNORED = (ROOT / ".dockerignore").read_text()
TOYS = ("models/toy/toy-0.5m", "models/toy/toy-2m", "models/toy/toy-5m")


@dataclass(frozen=True)
class Runtime:
    """What ends up in an image: the instructions of its target and of all it is made FROM."""

    name: str
    instructions: list[Instruction]

    def only(self, name: str) -> list[str]:
        """Return what follows an instruction's name, each time."""
        return [i.rest for i in self.instructions if i.name == name]


@pytest.fixture(params=list(RECIPES))
def runtime(request: pytest.FixtureRequest) -> Runtime:
    recipe = RECIPES[request.param]
    instructions = read_dockerfile(recipe.dockerfile)
    stages = stages_of(instructions, recipe.target)
    return Runtime(request.param, [i for i in instructions if i.stage in stages])


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.parent.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_dockerfile_is_built() -> None:
    assert {recipe.dockerfile for recipe in RECIPES.values()} == set(DOCKERFILES)


def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), dockerfile],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_what_is_copied_exists_and_is_sent(dockerfile: Path) -> None:
    copies = [i for i in read_dockerfile(dockerfile) if i.name == "COPY" and not i.is_from_stage]
    sources = [source for copy in copies for source in copy.words[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source, IGNORED), source


def test_stages_that_are_copied_from_exist(dockerfile: Path) -> None:
    instructions = read_dockerfile(dockerfile)
    stages = {i.stage for i in instructions}
    for copy in (i for i in instructions if i.is_from_stage):
        assert copy.rest.split("--from=")[1].split()[0] in stages


def test_every_base_is_the_argument(dockerfile: Path) -> None:
    instructions = read_dockerfile(dockerfile)
    assert instructions[0].name == "ARG"
    assert instructions[0].rest.startswith("BASE_IMAGE=")
    stages = {i.stage for i in instructions}
    bases = {i.words[0] for i in instructions if i.name == "FROM"} - stages
    assert bases == {"${BASE_IMAGE}"}


def test_it_runs_as_a_plain_user(runtime: Runtime) -> None:
    assert runtime.only("USER")[-1] == "10001:10001"


def test_it_starts_the_service_itself(runtime: Runtime) -> None:
    """An entrypoint that is a shell would keep SIGTERM to itself."""
    [entrypoint] = runtime.only("ENTRYPOINT")
    assert isinstance(json.loads(entrypoint), list)


def test_no_weights_are_copied_but_the_toys(runtime: Runtime) -> None:
    copied = [i.words[0] for i in runtime.instructions if i.name == "COPY"]
    models = sorted(source for source in copied if source.startswith("models"))
    assert models == (sorted(TOYS) if runtime.name == "toys" else [])
    assert {source for source in copied if not source.startswith("models")} == {"/opt/sizeup"}


def test_nothing_is_compiled_or_installed_by_pip_in_it(runtime: Runtime) -> None:
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
        "tests/hub_server.py",
        "tests/loadtest/test_load.py",
        "loadtest/sizeup_loadtest.egg-info/PKG-INFO",
        "models/toy/train.py",
        "models/other/model.safetensors",
        "services/DESIGN.md",
        "services/cli/sizeup/__pycache__/main.cpython-311.pyc",
        "services/cli/sizeup.egg-info/PKG-INFO",
        "services/inference/sizeup_inference/engine/kernels/_decode_attention.so",
        "services/inference/build/lib/x.py",
        "services/gateway/.env",
        "models/toy/toy-5m/.cache/x",
    ],
)
def test_what_no_image_needs_is_not_sent(path: str) -> None:
    assert not is_sent(path, IGNORED)


@pytest.mark.parametrize(
    "path",
    [
        "constraints.txt",
        "services/wire/sizeup_wire/catalog.py",
        "services/inference/sizeup_inference/engine/kernels/decode_attention.c",
        "services/cli/sizeup/models/qwen.yaml",
        "loadtest/sizeup_loadtest/scenarios/smoke.yaml",
        "loadtest/sizeup_loadtest/ability/tasks/sizeup_addition.jsonl",
        "models/toy/toy-0.5m/model.safetensors",
    ],
)
def test_what_images_need_is_sent(path: str) -> None:
    assert (ROOT / path).exists()
    assert is_sent(path, IGNORED)


def test_every_local_dependency_is_copied(dockerfile: Path) -> None:
    """A distribution that is left out would be looked for in the package index."""
    copies = [i.words[0] for i in read_dockerfile(dockerfile) if i.name == "COPY"]
    copied = {source for source in copies if (ROOT / source / "pyproject.toml").is_file()}
    described = {str(Path(s).parent) for s in copies if s.endswith("/pyproject.toml")}
    assert described == copied
    needed: set[str] = set()
    for folder in copied:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
        names = (re.split(r"[^\w-]", d)[0] for d in project["project"]["dependencies"])
        needed |= {name.removeprefix("sizeup-") for name in names if name.startswith("sizeup-")}
    assert needed <= {Path(folder).name for folder in copied}


def test_skaffold_builds_what_the_chart_installs() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    built = {
        artifact["image"]: (artifact["docker"]["dockerfile"], artifact["docker"].get("target"))
        for artifact in skaffold["build"]["artifacts"]
    }
    wanted = (RECIPES[name] for name in DEFAULT)
    assert built == {r.repository: (f"images/{r.folder}/Dockerfile", r.target) for r in wanted}
    [release] = skaffold["deploy"]["helm"]["releases"]
    values = yaml.safe_load((ROOT / release["chartPath"] / "values.yaml").read_text())
    for key, template in release["setValueTemplates"].items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place[parent]
        kind = {"repository": "REPO", "tag": "TAG"}[last]
        assert template == f"{{{{.IMAGE_{kind}_{place['repository'].replace('-', '_')}}}}}"
    assert len(release["setValueTemplates"]) == 2 * len(built)
    for file in release["valuesFiles"]:
        assert (ROOT / file).is_file()


def make(*words: str) -> str:
    """Return what make would run, or the words it ends with."""
    argv = ["make", "--dry-run", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else done.stdout


def test_make_loads_what_it_builds_into_the_cluster_it_starts() -> None:
    said = make("kind-up", "kind-load")
    config = re.findall(r"--config (\S+)", said)
    assert yaml.safe_load((ROOT / config[0]).read_text())["name"] == "sizeup"
    loaded = re.findall(r"load docker-image --name sizeup (.*)", said)[0].split()
    names = {RECIPES[name].reference(chart_version()) for name in DEFAULT}
    assert {f"{REGISTRY}/{name}" for name in loaded} == names


def test_what_is_loaded_is_built_whatever_names_there_are() -> None:
    assert make("kind-load", "NAMES=gateway") == make("kind-load")


def test_another_tag_is_built_and_loaded() -> None:
    said = make("kind-load", "TAG=7")
    assert "--tag 7" in said
    assert "sizeup-gateway:7 sizeup-inference:7 " in said


@pytest.mark.parametrize(("verb", "option"), [("push", "REGISTRY="), ("save", "FOLDER=")])
def test_images_go_where_somebody_says(verb: str, option: str) -> None:
    assert f"make {verb} {option}" in make(verb)
    assert f"--{verb} there" in make(verb, f"{option}there")
