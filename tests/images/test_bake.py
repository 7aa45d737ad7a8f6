"""docker-bake.hcl beside the Dockerfiles, the chart, skaffold.yaml and the Makefile."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from images.bake import BASE, DEFAULT, ROOT, TARGETS, VARIABLES, VERSION, Target
from images.dockerfile import read_dockerfile

PREDEFINED = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
"""Build arguments that every Dockerfile has."""
CHART = ROOT / "charts/sizeup"


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def make(*words: str) -> str:
    """Return what make would run, or its error."""
    argv = ["make", "--dry-run", *words]
    # Without the variables of the make that runs the tests.
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else done.stdout


def images_in(values: Any) -> Iterator[tuple[str, str]]:
    """Yield repository and tag of every image in the chart's values."""
    if isinstance(values, dict):
        if "repository" in values:
            yield values["repository"], values.get("tag") or VERSION
        for value in values.values():
            yield from images_in(value)


def test_every_dockerfile_has_a_target() -> None:
    dockerfiles = set((ROOT / "images").rglob("Dockerfile"))
    assert {target.dockerfile for target in TARGETS.values()} == dockerfiles


def test_the_dockerfile_has_the_stage_and_every_argument(target: Target) -> None:
    instructions = read_dockerfile(target.dockerfile)
    assert target.stage is None or target.stage in {i.stage for i in instructions}
    declared = {i.rest.partition("=")[0] for i in instructions if i.name == "ARG"}
    assert set(target.arguments) - PREDEFINED <= declared
    takes_torch_index = target.stage in ("cpu", "cuda")
    assert ("TORCH_INDEX" in target.arguments) == takes_torch_index


def test_every_argument_has_a_variable(target: Target) -> None:
    assert set(target.arguments.values()) <= VARIABLES.keys()


def test_the_base_is_that_of_the_dockerfile(target: Target) -> None:
    first = read_dockerfile(target.dockerfile)[0]
    assert first.rest == f"BASE_IMAGE={BASE}"


def test_every_image_of_the_chart_is_built() -> None:
    used = set(images_in(yaml.safe_load((CHART / "values.yaml").read_text())))
    built = {t.reference(VERSION).partition(":")[::2] for t in TARGETS.values()}
    assert used
    assert {repository for repository, _ in used} <= {repository for repository, _ in built}
    assert {TARGETS[name].repository for name in DEFAULT} == {repository for repository, _ in built}


def has_buildx() -> bool:
    """Return whether docker and its buildx plugin are installed."""
    if not shutil.which("docker"):
        return False
    argv = ["docker", "buildx", "version"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_buildx(), reason="docker buildx is not installed")
def test_buildx_reads_the_file_as_the_tests_do() -> None:
    argv = ["docker", "buildx", "bake", "--print", *TARGETS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, printed in json.loads(done.stdout)["target"].items():
        target = TARGETS[name]
        assert printed["tags"] == [target.reference(VERSION)]
        assert printed["dockerfile"] == str(target.dockerfile.relative_to(ROOT))
        assert printed.get("target") == target.stage
        assert printed["args"]["BASE_IMAGE"] == BASE
        assert printed["args"].keys() <= target.arguments.keys()


def test_skaffold_builds_what_the_chart_installs() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    built = {
        artifact["image"]: (artifact["docker"]["dockerfile"], artifact["docker"].get("target"))
        for artifact in skaffold["build"]["artifacts"]
    }
    expected = [TARGETS[name] for name in DEFAULT]
    assert built == {t.repository: (str(t.dockerfile.relative_to(ROOT)), t.stage) for t in expected}
    [release] = skaffold["deploy"]["helm"]["releases"]
    values = yaml.safe_load((ROOT / release["chartPath"] / "values.yaml").read_text())
    for key, template in release["setValueTemplates"].items():
        *parents, last = key.split(".")
        image = values
        for parent in parents:
            image = image[parent]
        kind = {"repository": "REPO", "tag": "TAG"}[last]
        assert template == f"{{{{.IMAGE_{kind}_{image['repository'].replace('-', '_')}}}}}"
    assert len(release["setValueTemplates"]) == 2 * len(built)
    for file in release["valuesFiles"]:
        assert (ROOT / file).is_file()


def test_make_builds_the_default_targets() -> None:
    assert make("images").split()[-len(DEFAULT) :] == list(DEFAULT)


def test_make_loads_into_the_cluster_that_it_starts_what_it_builds() -> None:
    output = make("kind-up", "kind-load")
    config = re.findall(r"--config (\S+)", output)
    assert yaml.safe_load((ROOT / config[0]).read_text())["name"] == "sizeup"
    loaded = re.findall(r"load docker-image --name sizeup (.*)", output)[0].split()
    assert loaded == [TARGETS[name].reference(VERSION) for name in DEFAULT]


def test_make_saves_every_image_by_the_name_that_it_is_built_with() -> None:
    output = make("save", "FOLDER=there", "TAG=7", f"NAMES={' '.join(TARGETS)}")
    assert "TAG=7 " in output
    saved = dict(re.findall(r"--output there/(\S+)\.tar ([^\s;]+)", output))
    assert list(saved.values()) == [target.reference("7") for target in TARGETS.values()]
    assert list(saved) == [image.replace(":", "-") for image in saved.values()]


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (
            ["images", "BASE=b", "TORCH_INDEX=i", "PLATFORM=p"],
            {"BASE=b", "TORCH_INDEX=i", "PLATFORM=p"},
        ),
        (["push", "REGISTRY=r/t", "ATTEST=true"], {"REGISTRY=r/t", "ATTEST=true"}),
    ],
)
def test_make_hands_its_variables_to_the_bake_file(words: list[str], variables: set[str]) -> None:
    assert variables <= set(make(*words).split())
    assert {variable.partition("=")[0] for variable in variables} <= VARIABLES.keys()


@pytest.mark.parametrize(("verb", "variable"), [("push", "REGISTRY="), ("save", "FOLDER=")])
def test_make_names_the_variable_that_is_missing(verb: str, variable: str) -> None:
    assert f"make {verb} {variable}" in make(verb)
