"""The commands in docs/kubernetes.md and in the README's section on clusters are valid.

For the shell, for make, and for the chart.
"""

import json
import os
import re
import shlex
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from chart.rendering import HELM, Json, containers, merge, named, of_kind, pods, render
from chart.test_schema import POD_FIELDS
from images.bake import DEFAULT, TARGETS, VERSION

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
FILES = {
    text.split()[1]: text for kind, text in BLOCKS if kind == "yaml" and ".yaml\n" in text[:40]
}
"""Files that the reader of the page creates, by the name on their first line."""
PROSE = re.sub(r"^```.*?^```", "", DOC, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", PROSE)
NAMED_ONLY = ("make push", "make save", "helm test", "helm template", "helm uninstall")
"""Mentioned in the text, without arguments."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
_ON_CLUSTERS = README.partition("\n## On a cluster\n")[2].partition("\n## ")[0]
SHELL = [
    *(text for kind, text in BLOCKS if kind == "sh"),
    *re.findall(r"^```sh\n(.*?)^```", _ON_CLUSTERS, re.MULTILINE | re.DOTALL),
]
"""Shell blocks of the page, and of the README's section on clusters."""
PROGRAMS = (
    *("helm", "kubectl", "make", "docker", "minikube", "skopeo", "curl", "openssl", "base64"),
    *("tar", "sha256sum", ".venv/bin/sizeup"),
)
CLUSTER_SCOPED = (["create", "namespace"], ["label", "namespace"], ["get", "nodes"])
"""kubectl commands without a namespace."""
_RECORDER = '#!/bin/sh\nprintf \'%s\\n\' "${0##*/}" "$@" > "$RECORDS/$$"\n'

Command = tuple[str, ...]


def recorded(script: str) -> list[Command]:
    """Run a script in which every program only records its arguments; return the calls."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for program in PROGRAMS:
            place = folder / (program if "/" in program else f"bin/{program}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_RECORDER)
            place.chmod(0o755)
        for created in ("records", "carry/images", "carry/hub"):
            (folder / created).mkdir(parents=True)
        for file in ("carry/hub.tar", "carry/images/one.tar", *FILES):
            (folder / file).touch()
        environment = {"PATH": str(folder / "bin"), "RECORDS": str(folder / "records")}
        shell = ["/bin/sh", "-eu", "-c", script]
        done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script
        return [tuple(file.read_text().split("\n")[:-1]) for file in (folder / "records").iterdir()]


@cache
def commands() -> list[Command]:
    """Return every command of the page with its arguments, as parsed by the shell."""
    command = re.compile(r"(make|helm|kubectl|skopeo) \S")
    inline = [text for text in INLINE if command.match(text) and text not in NAMED_ONLY]
    return [c for script in (*SHELL, *inline) for c in recorded(script)]


def calls(program: str) -> list[Command]:
    """Return the arguments of each call of a program."""
    return sorted({command[1:] for command in commands() if command[0] == program})


def dry_run(verb: Command) -> str:
    """Return the commands that make would run."""
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
    """Return every `helm upgrade` call: those on the page, and those that make runs."""
    by_make = [dry_run(verb) for verb in calls("make") if verb[0] == "install"]
    found = [*calls("helm"), *(c[1:] for script in by_make for c in recorded(script))]
    return [one for one in found if one[0] == "upgrade"]


@cache
def rendered(install: Command) -> list[Json]:
    """Return the objects of an installation with the files of the page."""
    release, chart, *options = (word for word in install[1:] if word != "--install")
    with TemporaryDirectory() as name:
        for file, text in FILES.items():
            (Path(name) / file).write_text(text)
        words = [f"{name}/{word}" if word in FILES else word for word in options]
        argv = [str(HELM), "template", release, chart, *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]


def with_file(file: str) -> Command:
    """Return the installation with this values file; there must be exactly one."""
    (found,) = [one for one in installs() if any(word.endswith(file) for word in one)]
    return found


def gpu_install() -> Command:
    """Return the installation of the GPU cluster, which the others extend."""
    return next(one for one in installs() if files_of(one) == ["gpu.yaml", "mine.yaml"])


def files_of(command: Command) -> list[str]:
    """Return the names of the values files of a command."""
    given = pairwise(command)
    return [value.rpartition("/")[2] for option, value in given if option in ("-f", "--values")]


def namespace(command: Command) -> str | None:
    """Return the namespace option of a command."""
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
    (bake,) = [line for line in dry_run(call).splitlines() if " bake " in line]
    words = shlex.split(bake)
    return [word for word in words[words.index("bake") + 1 :] if not word.startswith("--")]


def models_of(objects: list[Json]) -> dict[str, Json]:
    """Return the Deployments of the models, by key."""
    found = of_kind(objects, "Deployment")
    return {m: d for d in found if (m := d["metadata"]["labels"].get("sizeup.dev/model"))}


def test_shell_blocks_have_no_comments() -> None:
    """Interactive zsh passes them as arguments."""
    assert [text for text in SHELL if "#" in text] == []


@pytest.mark.parametrize("command", installs(), ids=" ".join)
def test_installation_renders(command: Command) -> None:
    assert models_of(rendered(command))
    assert namespace(command) == "sizeup"
    assert command[1:4] == ("--install", "sizeup", "charts/sizeup")


def test_own_values_file_comes_last() -> None:
    pages = [one for one in calls("helm") if one[0] == "upgrade"]
    assert len(pages) >= 6
    assert {files_of(one)[-1] for one in pages} == {"mine.yaml", "mine-one-gpu.yaml"}
    used = {file for one in commands() for file in files_of(one)}
    assert set(FILES) <= used


@pytest.mark.parametrize("verb", calls("make"), ids=" ".join)
def test_make_targets_use_their_variables(verb: Command) -> None:
    output = dry_run(verb)
    for word in verb[1:]:
        assert word.partition("=")[2] in output, word


def test_commands_name_the_namespace() -> None:
    namespaced = [one for one in calls("kubectl") if list(one[:2]) not in CLUSTER_SCOPED]
    namespaced += calls("helm")
    assert [one for one in namespaced if namespace(one) not in ("sizeup", "default")] == []
    assert [
        one for one in namespaced if namespace(one) == "default" and "kubernetes" not in one
    ] == []


def test_named_objects_exist() -> None:
    existing = [one for command in installs() for one in rendered(command)]
    names = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in existing}
    words = {word for one in calls("kubectl") for word in one}
    assert {w for w in words if re.match(r"(service|deployment|job)/", w)} <= names
    selectors = {word for word in words if re.match(r"(app\.kubernetes\.io|sizeup\.dev)/", word)}
    assert selectors
    labelled = [one["metadata"]["labels"].items() for one in rendered(gpu_install())]
    for selector in selectors:
        wanted = {tuple(pair.split("=")) for pair in selector.split(",")}
        assert any(wanted <= labels for labels in labelled), selector


def test_pushed_images_are_those_of_the_gpu_cluster() -> None:
    pushed = {f"registry.example.com/team/{image}" for image in built("push")}
    assert images_of(rendered(gpu_install())) == pushed


def test_images_of_local_clusters_are_loaded() -> None:
    loaded = {call[-1] for call in calls("minikube") if call[0] == "image"}
    assert images_of(rendered(with_file("minikube.yaml"))) == loaded
    for file, names in (("kind.yaml", DEFAULT), ("minikube.yaml", built_names("images"))):
        available = {TARGETS[name].reference(VERSION) for name in names}
        assert images_of(rendered(with_file(file))) <= available


def test_saved_images_are_those_of_the_airgapped_cluster() -> None:
    saved = {f"registry.example.com/team/{image}" for image in built("save")}
    (fill,) = (one for one in yaml.safe_load_all(FILES["hub.yaml"]) if one["kind"] == "Pod")
    inside = images_of([fill])
    for command in installs():
        if "airgap.yaml" in files_of(command):
            inside |= images_of(rendered(command))
    assert inside == saved
    assert {call[-1] for call in calls("docker") if call[0] == "push"} == saved


def test_saved_models_are_those_of_the_airgapped_cluster() -> None:
    pulled = {call[1] for call in calls("sizeup")}
    for command in installs():
        if "airgap.yaml" in files_of(command):
            catalog = named(rendered(command), "ConfigMap", "sizeup-models")
            models = yaml.safe_load(catalog["data"]["models.yaml"])["models"].values()
            assert {model["id"] for model in models} == pulled


def test_prefilled_volume_is_the_cache() -> None:
    objects = rendered(with_file("filled.yaml"))
    assert of_kind(objects, "Job", "PersistentVolumeClaim") == []
    claims = [
        v for _, pod in pods(objects) for v in pod["spec"]["volumes"] if v["name"] == "models"
    ]
    assert {v["persistentVolumeClaim"]["claimName"] for v in claims} == {"sizeup-hub"}


def test_claim_and_pod_are_valid() -> None:
    for one in yaml.safe_load_all(FILES["hub.yaml"]):
        kubernetes_validate.validate(one, "1.30", strict=True)


def test_argo_cd_ignores_replicas_of_scaled_models() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "[/spec/replicas]" in text]
    ignored = {one["name"] for one in yaml.safe_load(text)["spec"]["ignoreDifferences"]}
    deployments = models_of(rendered(with_file("scale-to-zero.yaml"))).values()
    assert ignored == {d["metadata"]["name"] for d in deployments if d["spec"]["replicas"] == 0}


def test_time_slices_are_those_of_the_preset() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "timeSlicing" in text]
    config = yaml.safe_load(text)
    kubernetes_validate.validate(config, "1.30", strict=True)
    sharing = yaml.safe_load(config["data"]["four"])["sharing"]["timeSlicing"]
    (resource,) = sharing["resources"]
    assert sharing["renameByDefault"] is True
    sizes = models_of(rendered(with_file("one-gpu.yaml"))).values()
    assert len(sizes) == resource["replicas"]
    for size in sizes:
        (container,) = size["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"][f"{resource['name']}.shared"] == 1


def test_restrictive_network_policies() -> None:
    text = json.dumps(of_kind(rendered(with_file("closed.yaml")), "NetworkPolicy"))
    assert "10.0.0.10/32" in text
    assert "ingress-nginx" in text


def test_cilium_policy_selects_the_gateway() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "CiliumNetworkPolicy" in text]
    (policy,) = yaml.safe_load(text)["extraObjects"]
    wanted = policy["spec"]["endpointSelector"]["matchLabels"].items()
    chosen = [n for n, pod in pods(rendered(gpu_install())) if wanted <= labels_of(pod)]
    assert chosen == ["Deployment/sizeup-gateway"]


def test_fields_of_pods_are_those_of_the_values() -> None:
    section = DOC.partition("\n## Fields of pods\n")[2].partition("\n## ")[0]
    assert (
        set(re.findall(r"`(\w+)`", section.partition("```yaml")[0])) - {"inference"} == POD_FIELDS
    )


def test_fields_of_pods_are_in_the_pods() -> None:
    preset = yaml.safe_load((ROOT / "charts/sizeup/values/gpu.yaml").read_text())
    sizes = models_of(render(merge(preset, yaml.safe_load(FILES["fields.yaml"]))))
    large = sizes["qwen1-5-72b"]["spec"]["template"]["spec"]
    assert large.get("nodeSelector", {}) == {}
    assert "H100" in json.dumps(large["affinity"])
    small = sizes["qwen1-5-7b"]["spec"]["template"]
    assert small["metadata"]["labels"]["team"] == "search"
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "8Gi"}} in small["spec"]["volumes"]
    assert small["spec"]["priorityClassName"] == large["priorityClassName"] == "models"


def test_the_chart_as_a_dependency() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "dependencies:" in text]
    (dependency,) = yaml.safe_load(text)["dependencies"]
    chart = yaml.safe_load((ROOT / "charts/sizeup/Chart.yaml").read_text())
    assert (dependency["name"], dependency["version"]) == (chart["name"], chart["version"])


def labels_of(pod: Json) -> set[tuple[str, str]]:
    """Return the labels of a pod as pairs."""
    return set(pod["metadata"]["labels"].items())


def test_image_table_is_complete() -> None:
    rows = dict(re.findall(r"^\| `(sizeup-[^`]+)` \| `([^`]+)` \|", DOC, re.MULTILINE))
    assert rows == {target.reference(VERSION): name for name, target in TARGETS.items()}


def test_links_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", DOC)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
