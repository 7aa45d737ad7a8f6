"""The values in docs/operations.md render valid objects, which do what the page says."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from chart.network_policy import Place, allows
from chart.rendering import (
    CHART,
    EVERYTHING,
    Json,
    containers,
    environment,
    merge,
    named,
    of_kind,
    pods,
    render,
)
from chart.test_docs import ROOT, dry_run
from chart.validation import KUBERNETES, validate

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
GPU: Json = yaml.safe_load((CHART / "values" / "gpu.yaml").read_text())
KEYS: Json = {"auth": {"existingSecret": {"name": "sizeup-keys"}}}


def blocks(section: str, kind: str = "yaml") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)


def with_values_of(section: str, base: Mapping[str, Any] = GPU) -> list[Json]:
    """Return the objects of a GPU cluster with the values of a section."""
    [text] = blocks(section)
    objects = render(merge(merge(base, KEYS), yaml.safe_load(text)))
    for one in objects:
        one["metadata"].setdefault("namespace", "models")  # as Helm does
    return objects


def pod_of(objects: list[Json], name: str) -> Json:
    template: Json = named(objects, "Deployment", f"sizeup-{name}")["spec"]["template"]
    return template


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("section", [name for name in SECTIONS if blocks(name)])
def test_values_render_valid_objects(section: str, version: str) -> None:
    for one in with_values_of(section):
        validate(one, version)


def test_origins_reach_the_gateway() -> None:
    [container] = containers(pod_of(with_values_of("In front of the gateway"), "gateway"))
    origins = environment(container)["SIZEUP_GATEWAY_ORIGINS"]
    assert origins == "https://chat.example.com,https://*.example.org"


def test_spans_reach_the_collector() -> None:
    objects = with_values_of("Traces")
    policies = of_kind(objects, "NetworkPolicy")
    size = Place(pod_of(objects, "qwen1-5-7b")["metadata"]["labels"])
    assert allows(policies, size, Place({}, "observability"), 4318, "TCP")
    assert not allows(policies, size, Place({}, "elsewhere"), 4318, "TCP")


def test_only_sizes_of_the_profile_require_the_driver() -> None:
    def requires(name: str) -> bool:
        return "cuda.driver-version.major" in str(pod_of(objects, name)["spec"].get("affinity"))

    objects = with_values_of("GPU drivers")
    profiles = {key: model["profile"] for key, model in GPU["models"].items()}
    assert {key for key in profiles if requires(key)} == {
        key for key, profile in profiles.items() if profile.startswith("gpu-24g")
    }


def test_the_index_of_older_drivers_has_the_locked_torch() -> None:
    [script] = blocks("GPU drivers", "sh")
    locked = re.findall(r"^torch==\S+", (ROOT / "locks" / "torch.txt").read_text(), re.MULTILINE)
    assert re.findall(r"torch==\S+", script) == locked
    [index] = re.findall(r"--index-url (\S+)", script)
    [push] = re.findall(r"^make (push .*)$", script, re.MULTILINE)
    assert f"TORCH_INDEX={index}" in dry_run(tuple(push.split()))


def test_the_owner_is_set_before_the_download() -> None:
    for job in of_kind(with_values_of("Volumes that ignore fsGroup"), "Job"):
        own, pull = containers(job["spec"]["template"])
        assert own["command"] == ["chown", "10001:10001", "/models"]
        assert own["volumeMounts"][0] in [
            {key: mount[key] for key in ("name", "mountPath")} for mount in pull["volumeMounts"]
        ]
        assert pull["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert own["image"] == f"registry.example.com/team/{pull['image']}"


def test_every_pod_reaches_the_control_plane_of_the_mesh() -> None:
    objects = with_values_of("Service meshes", merge(EVERYTHING, {"tests": {"enabled": True}}))
    policies = of_kind(objects, "NetworkPolicy")
    for name, pod in pods(objects):
        labels = Place(pod["metadata"]["labels"])
        assert allows(policies, labels, Place({}, "istio-system"), 15012, "TCP"), name
        assert not allows(policies, labels, Place({}, "elsewhere"), 15012, "TCP"), name
        ends = name.startswith(("Job/", "Pod/"))
        annotation = pod["metadata"].get("annotations", {}).get("sidecar.istio.io/inject")
        assert (annotation == "false") is ends, name


def test_a_pod_on_a_spot_node_ends_within_the_notice() -> None:
    objects = with_values_of("Spot nodes")
    spec = pod_of(objects, "qwen1-5-7b")["spec"]
    assert spec["terminationGracePeriodSeconds"] < 120
    values = yaml.safe_load(blocks("Spot nodes")[0])
    shorter = merge(values, {"inference": {"drainSeconds": 10}})
    spec = pod_of(render(merge(GPU | KEYS, shorter)), "qwen1-5-7b")["spec"]
    assert spec["terminationGracePeriodSeconds"] <= 30


def test_both_families_are_listened_on() -> None:
    objects = with_values_of("IPv6")
    assert (
        named(objects, "Service", "sizeup-gateway")["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    )
    [container] = containers(pod_of(objects, "gateway"))
    assert environment(container)["SIZEUP_GATEWAY_HOST"] == "::"


def test_braces_of_prometheus_are_kept() -> None:
    rule = named(with_values_of("Templates in extraObjects"), "PrometheusRule", "sizeup-own")
    [alert] = rule["spec"]["groups"][0]["rules"]
    assert alert["annotations"]["summary"] == "Requests queue for {{ $labels.model }}"
    assert 'namespace="models"' in alert["expr"]
