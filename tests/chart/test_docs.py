"""docs/kubernetes.md, and the README on clusters: what they say to paste is right.

As shell, for make, and for the chart.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from chart.rendering import HELM, Json, containers, named, of_kind, pods
from images.bake import DEFAULT, TARGETS, VERSION

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
FILES = {
    text.split()[1]: text for kind, text in BLOCKS if kind == "yaml" and ".yaml\n" in text[:40]
}
"""What the page has its reader write, by name: the first line of each says it."""
PROSE = re.sub(r"^```.*?^```", "", DOC, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", PROSE)
NAMED_ONLY = ("make push", "make save", "helm test", "helm template", "helm uninstall")
"""Mentioned, not to be pasted."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
_ON_CLUSTERS = README.partition("\n## On a cluster\n")[2].partition("\n## ")[0]
SHELL = [
    *(text for kind, text in BLOCKS if kind == "sh"),
    *re.findall(r"^```sh\n(.*?)^```", _ON_CLUSTERS, re.MULTILINE | re.DOTALL),
]
"""What is to be pasted; of the README the section on clusters."""
PROGRAMS = (
    *("helm", "kubectl", "make", "docker", "minikube", "skopeo", "curl", "openssl", "base64"),
    *("tar", "sha256sum", ".venv/bin/sizeup"),
)
OF_THE_CLUSTER = (["create", "namespace"], ["label", "namespace"], ["get", "nodes"])
"""What kubectl is asked that belongs to no namespace."""
_RECORDER = '#!/bin/sh\nprintf \'%s\\n\' "${0##*/}" "$@" > "$RECORDS/$$"\n'

Command = tuple[str, ...]


def ran(script: str) -> list[Command]:
    """Run a script where every program only notes how it was called; return the calls."""
    with TemporaryDirectory() as name:
        here = Path(name)
        for program in PROGRAMS:
            place = here / (program if "/" in program else f"bin/{program}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_RECORDER)
            place.chmod(0o755)
        for left in ("records", "carry/images", "carry/hub"):
            (here / left).mkdir(parents=True)
        for file in ("carry/hub.tar", "carry/images/one.tar", *FILES):
            (here / file).touch()
        environment = {"PATH": str(here / "bin"), "RECORDS": str(here / "records")}
        shell = ["/bin/sh", "-eu", "-c", script]
        done = subprocess.run(shell, cwd=here, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script
        return [tuple(file.read_text().split("\n")[:-1]) for file in (here / "records").iterdir()]


@cache
def commands() -> list[Command]:
    """Return every command of the page with its arguments, as a shell understands it."""
    begins = re.compile(r"(make|helm|kubectl|skopeo) \S")
    inline = [text for text in INLINE if begins.match(text) and text not in NAMED_ONLY]
    return [c for script in (*SHELL, *inline) for c in ran(script)]


def calls(program: str) -> list[Command]:
    """Return the arguments of each call of a program."""
    return sorted({command[1:] for command in commands() if command[0] == program})


def made(verb: Command) -> str:
    """Return what make would run."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *verb],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def installs() -> list[Command]:
    """Return every call of helm that installs: the page's own, and those behind make."""
    behind = [made(verb) for verb in calls("make") if verb[0] == "install"]
    found = [*calls("helm"), *(c[1:] for script in behind for c in ran(script))]
    return [one for one in found if one[0] == "upgrade"]


@cache
def rendered(install: Command) -> list[Json]:
    """Return the objects of an installation; the page's files are written for it."""
    release, chart, *options = (word for word in install[1:] if word != "--install")
    with TemporaryDirectory() as name:
        for file, text in FILES.items():
            (Path(name) / file).write_text(text)
        words = [f"{name}/{word}" if word in FILES else word for word in options]
        argv = [str(HELM), "template", release, chart, *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def with_file(file: str) -> Command:
    """Return the one installation that names a file."""
    (found,) = [one for one in installs() if any(word.endswith(file) for word in one)]
    return found


def only_own_files() -> Command:
    """Return the installation of the GPU cluster, to which the others add."""
    return next(one for one in installs() if files_of(one) == ["gpu.yaml", "mine.yaml"])


def files_of(command: Command) -> list[str]:
    """Return the names of the files a command is given."""
    given = pairwise(command)
    return [value.rpartition("/")[2] for option, value in given if option in ("-f", "--values")]


def namespace(command: Command) -> str | None:
    """Return the namespace that a command names."""
    given = pairwise(command)
    return next((value for option, value in given if option in ("-n", "--namespace")), None)


def images_of(objects: list[Json]) -> set[str]:
    """Return the images of all pods."""
    return {c["image"] for _, pod in pods(objects) for c in containers(pod)}


def built(verb: str) -> set[str]:
    """Return the images that the one call of a verb builds, without a registry."""
    return {TARGETS[name].reference(VERSION) for name in built_names(verb)}


def built_names(verb: str) -> list[str]:
    """Return the targets that the one call of a verb with NAMES builds."""
    found = [one for one in calls("make") if one[0] == verb]
    (call,) = [one for one in found if any(word.startswith("NAMES=") for word in one)]
    (bake,) = [line for line in made(call).splitlines() if " bake " in line]
    words = shlex.split(bake)
    return [word for word in words[words.index("bake") + 1 :] if not word.startswith("--")]


def models_of(objects: list[Json]) -> dict[str, Json]:
    """Return the Deployment of each size, by its key."""
    found = of_kind(objects, "Deployment")
    return {m: d for d in found if (m := d["metadata"]["labels"].get("sizeup.dev/model"))}


def test_nothing_to_paste_has_a_comment() -> None:
    """The shell of a Mac takes it for arguments."""
    assert [text for text in SHELL if "#" in text] == []


@pytest.mark.parametrize("command", installs(), ids=" ".join)
def test_every_installation_renders(command: Command) -> None:
    assert models_of(rendered(command))
    assert namespace(command) == "sizeup"
    assert command[1:4] == ("--install", "sizeup", "charts/sizeup")


def test_what_is_ones_own_comes_last() -> None:
    pages = [one for one in calls("helm") if one[0] == "upgrade"]
    assert len(pages) >= 6
    assert {files_of(one)[-1] for one in pages} == {"mine.yaml"}
    used = {file for one in commands() for file in files_of(one)}
    assert set(FILES) <= used


@pytest.mark.parametrize("verb", calls("make"), ids=" ".join)
def test_every_verb_of_make_takes_its_variables(verb: Command) -> None:
    said = made(verb)
    for word in verb[1:]:
        assert word.partition("=")[2] in said, word


def test_whatever_asks_the_release_names_its_namespace() -> None:
    asked = [one for one in calls("kubectl") if list(one[:2]) not in OF_THE_CLUSTER]
    asked += calls("helm")
    assert [one for one in asked if namespace(one) not in ("sizeup", "default")] == []
    assert [one for one in asked if namespace(one) == "default" and "kubernetes" not in one] == []


def test_what_is_asked_for_by_name_is_there() -> None:
    there = [one for command in installs() for one in rendered(command)]
    names = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in there}
    words = {word for one in calls("kubectl") for word in one}
    assert {w for w in words if re.match(r"(service|deployment|job)/", w)} <= names
    selectors = {word for word in words if re.match(r"(app\.kubernetes\.io|sizeup\.dev)/", word)}
    assert selectors
    labelled = [one["metadata"]["labels"].items() for one in rendered(only_own_files())]
    for selector in selectors:
        wanted = {tuple(pair.split("=")) for pair in selector.split(",")}
        assert any(wanted <= labels for labels in labelled), selector


def test_the_pushed_images_are_those_of_the_gpu_cluster() -> None:
    pushed = {f"registry.example.com/team/{image}" for image in built("push")}
    assert images_of(rendered(only_own_files())) == pushed


def test_the_images_of_laptops_are_there() -> None:
    loaded = {call[-1] for call in calls("minikube") if call[0] == "image"}
    assert images_of(rendered(with_file("minikube.yaml"))) == loaded
    for file, names in (("kind.yaml", DEFAULT), ("minikube.yaml", built_names("images"))):
        there = {TARGETS[name].reference(VERSION) for name in names}
        assert images_of(rendered(with_file(file))) <= there


def test_the_carried_images_are_those_inside() -> None:
    carried = {f"registry.example.com/team/{image}" for image in built("save")}
    (fill,) = (one for one in yaml.safe_load_all(FILES["hub.yaml"]) if one["kind"] == "Pod")
    inside = images_of([fill])
    for command in installs():
        if "airgap.yaml" in files_of(command):
            inside |= images_of(rendered(command))
    assert inside == carried
    assert {call[-1] for call in calls("docker") if call[0] == "push"} == carried


def test_the_carried_models_are_those_inside() -> None:
    pulled = {call[1] for call in calls("sizeup")}
    for command in installs():
        if "airgap.yaml" in files_of(command):
            catalogue = named(rendered(command), "ConfigMap", "sizeup-models")
            models = yaml.safe_load(catalogue["data"]["models.yaml"])["models"].values()
            assert {model["id"] for model in models} == pulled


def test_a_filled_volume_is_the_cache_and_is_only_read() -> None:
    objects = rendered(with_file("filled.yaml"))
    assert of_kind(objects, "Job", "PersistentVolumeClaim") == []
    claims = [
        v for _, pod in pods(objects) for v in pod["spec"]["volumes"] if v["name"] == "models"
    ]
    assert {v["persistentVolumeClaim"]["claimName"] for v in claims} == {"sizeup-hub"}


def test_the_claim_and_its_pod_are_objects_of_kubernetes() -> None:
    for one in yaml.safe_load_all(FILES["hub.yaml"]):
        kubernetes_validate.validate(one, "1.30", strict=True)


def test_argo_leaves_the_sleeping_sizes_alone() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "ignoreDifferences" in text]
    ignored = {one["name"] for one in yaml.safe_load(text)["spec"]["ignoreDifferences"]}
    sizes = models_of(rendered(with_file("scale-to-zero.yaml"))).values()
    assert ignored == {d["metadata"]["name"] for d in sizes if d["spec"]["replicas"] == 0}


def test_the_closed_policy_is_closed() -> None:
    text = json.dumps(of_kind(rendered(with_file("closed.yaml")), "NetworkPolicy"))
    assert "10.0.0.10/32" in text
    assert "ingress-nginx" in text


def test_cilium_lets_the_gateway_reach_the_api_server() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "CiliumNetworkPolicy" in text]
    (policy,) = yaml.safe_load(text)["extraObjects"]
    wanted = policy["spec"]["endpointSelector"]["matchLabels"].items()
    chosen = [n for n, pod in pods(rendered(only_own_files())) if wanted <= labels_of(pod)]
    assert chosen == ["Deployment/sizeup-gateway"]


def labels_of(pod: Json) -> set[tuple[str, str]]:
    """Return a pod's labels, as pairs."""
    return set(pod["metadata"]["labels"].items())


def values_named() -> Iterator[tuple[str, ...]]:
    """Yield the paths of values that the text mentions."""
    known = json.loads((ROOT / "charts/sizeup/values.schema.json").read_text())["properties"]
    for text in INLINE:
        keys = tuple(re.split(r"[:=]", text)[0].split("."))
        if len(keys) > 1 and keys[0] in known:
            yield keys


@pytest.mark.parametrize("keys", sorted(set(values_named())), ids=".".join)
def test_every_value_it_mentions_is_one(keys: tuple[str, ...]) -> None:
    place: Any = yaml.safe_load((ROOT / "charts/sizeup/values.yaml").read_text())
    for key in keys:
        assert key in place
        place = place[key]


def test_every_image_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `(sizeup-[^`]+)` \| `([^`]+)` \|", DOC, re.MULTILINE))
    assert rows == {target.reference(VERSION): name for name, target in TARGETS.items()}


def test_what_it_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", DOC)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
