"""Rollout strategies, probes, disruption budgets and replica counts."""

from pathlib import Path
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    VARIANTS,
    Json,
    containers,
    environment,
    named,
    of_kind,
    pods,
    render,
    upgraded,
)
from images.bake import VERSION


def deployment(name: str, values: dict[str, Any] = EVERYTHING) -> Json:
    """Return the Deployment of a model or component."""
    return named(render(values), "Deployment", f"sizeup-{name}")


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("small", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        (
            "middle",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        ("scaled", {"type": "Recreate"}),
        (
            "gateway",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
    ],
)
def test_strategy_surges_only_without_gpu(name: str, strategy: Json) -> None:
    assert deployment(name)["spec"]["strategy"] == strategy


def test_single_gpu_pod_is_recreated() -> None:
    for one in of_kind(render(VARIANTS["gpu"]), "Deployment"):
        if one["metadata"]["name"] != "sizeup-gateway":
            assert one["spec"]["strategy"] == {"type": "Recreate"}


def test_strategy_value() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    model = {"id": "Qwen/Qwen1.5-7B-Chat", "profile": "gpu-48g", "strategy": strategy}
    assert deployment("one", {"models": {"one": model}})["spec"]["strategy"] == strategy


def budget(deployment: Json) -> int:
    """Return the startup probe's budget in seconds."""
    probe = containers(deployment["spec"]["template"])[-1]["startupProbe"]
    return int(probe["periodSeconds"] * probe["failureThreshold"])


def test_startup_budget_grows_with_parameters() -> None:
    sizes = ["0-5b", "1-8b", "4b", "7b", "14b", "32b", "72b"]
    budgets = [budget(deployment(f"qwen1-5-{name}", VARIANTS["gpu"])) for name in sizes]
    assert budgets == [180, 240, 360, 600, 1020, 2100, 4500]


def test_startup_seconds_value() -> None:
    model = {"id": "Qwen/Qwen1.5-0.5B-Chat", "startupSeconds": 1234}
    assert budget(deployment("one", {"models": {"one": model}})) == 1235


@pytest.mark.parametrize("variant", VARIANTS)
def test_progress_deadline_exceeds_the_startup_budget(variant: str) -> None:
    for one in of_kind(render(VARIANTS[variant]), "Deployment"):
        if "progressDeadlineSeconds" in one["spec"]:
            assert one["spec"]["progressDeadlineSeconds"] > budget(one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_grace_period_covers_pre_stop_and_drain(variant: str) -> None:
    drained = 0
    for name, pod in pods(render(VARIANTS[variant])):
        variables = environment(containers(pod)[-1])
        drain = [float(v) for key, v in variables.items() if key.endswith("_DRAIN_SECONDS")]
        if drain:
            (main,) = pod["spec"]["containers"]
            pause = main["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pause > 0
            assert pod["spec"]["terminationGracePeriodSeconds"] > pause + drain[0], name
            drained += 1
    assert drained == sum(
        one["metadata"]["name"] != "sizeup-mirror"
        for one in of_kind(render(VARIANTS[variant]), "Deployment")
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_probe_paths_and_timeouts(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["timeoutSeconds"] >= 5
            if container["name"] in ("gateway", "inference"):
                assert container["livenessProbe"]["httpGet"]["path"] == "/livez", name
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name


def test_scaled_to_zero_model_starts_without_replicas() -> None:
    scaled = deployment("scaled")
    assert scaled["spec"]["replicas"] == 0
    variables = environment(containers(scaled["spec"]["template"])[-1])
    assert variables["SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS"] == "90"


def test_other_models_have_no_keep_alive() -> None:
    small = deployment("small")
    assert small["spec"]["replicas"] == 2
    variables = environment(containers(small["spec"]["template"])[-1])
    assert "SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS" not in variables


def test_scheduling_merges_profile_and_model() -> None:
    toleration = {"key": "team", "operator": "Exists"}
    profile = {"nodeSelector": {"gpu": "l4", "zone": "a"}, "tolerations": [{"key": "gpu"}]}
    model = {
        "id": "Qwen/Qwen1.5-0.5B-Chat",
        "profile": "gpu-24g",
        "nodeSelector": {"zone": "b"},
        "tolerations": [toleration],
        "affinity": {"nodeAffinity": {}},
    }
    values = {"profiles": {"gpu-24g": profile}, "models": {"one": model}}
    spec = deployment("one", values)["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"gpu": "l4", "zone": "b"}
    assert spec["tolerations"][:2] == [{"key": "gpu"}, toleration]
    assert spec["affinity"] == {"nodeAffinity": {}}


def test_disruption_budgets_require_several_replicas() -> None:
    names = {o["metadata"]["name"] for o in of_kind(render(EVERYTHING), "PodDisruptionBudget")}
    assert names == {"sizeup-gateway", "sizeup-small", "sizeup-middle"}
    assert budgets("perModel") == budgets("shared") == {"sizeup-gateway"}, (
        "all pods are on one node"
    )
    single: Json = {"gateway": {"replicas": 1}}
    assert of_kind(render(single), "PodDisruptionBudget") == []
    for several in ({"replicas": None}, {"autoscaling": {"enabled": True, "minReplicas": 1}}):
        assert of_kind(render({"gateway": several}), "PodDisruptionBudget")


def budgets(mode: str) -> set[str]:
    """Return the names of the disruption budgets with a single-node cache volume."""
    cache = {"mode": mode, "accessModes": ["ReadWriteOnce"]}
    objects = render({**EVERYTHING, "modelCache": cache})
    return {o["metadata"]["name"] for o in of_kind(objects, "PodDisruptionBudget")}


def test_autoscaler_owns_the_replica_count() -> None:
    assert "replicas" not in deployment("gateway")["spec"]
    (scaler,) = of_kind(render(EVERYTHING), "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "sizeup-gateway"


def test_an_autoscaler_of_the_operator_owns_the_replica_count() -> None:
    assert "replicas" not in deployment("gateway", {"gateway": {"replicas": None}})["spec"]


@pytest.mark.parametrize("values", [EVERYTHING, {"gateway": {"replicas": None}}])
def test_enabling_the_autoscaler_keeps_the_replica_count(values: Json, tmp_path: Path) -> None:
    """A Deployment whose `replicas` is removed is scaled to one."""
    live = {"sizeup-gateway": {"spec": {"replicas": 5}}}
    objects = upgraded(values, live, tmp_path)
    assert named(objects, "Deployment", "sizeup-gateway")["spec"]["replicas"] == 5


def test_upgrade_keeps_the_replicas_of_a_scale_to_zero_model(tmp_path: Path) -> None:
    live = {"sizeup-scaled": {"spec": {"replicas": 1}}}
    objects = upgraded(EVERYTHING, live, tmp_path)
    assert named(objects, "Deployment", "sizeup-scaled")["spec"]["replicas"] == 1


def test_extra_labels_and_volumes() -> None:
    small, gateway = deployment("small", EXTENDED), deployment("gateway", EXTENDED)
    assert small["spec"]["template"]["metadata"]["labels"]["team"] == "models"
    assert gateway["spec"]["template"]["metadata"]["labels"]["team"] == "search"
    for one in (small, gateway):
        assert "team" not in one["spec"]["selector"]["matchLabels"]
    (inference,) = small["spec"]["template"]["spec"]["containers"]
    assert inference["volumeMounts"][-1]["mountPath"] == "/more"
    spread = gateway["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["rack"]


def test_job_pod_annotations() -> None:
    for job in of_kind(render(EXTENDED), "Job"):
        annotations = job["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize("file", ["gpu", "scale-to-zero"])
def test_gpu_pods_tolerate_the_gpu_taint(file: str) -> None:
    for one in of_kind(render(VARIANTS[file]), "Deployment"):
        spec = one["spec"]["template"]["spec"]
        if "nvidia.com/gpu" in spec["containers"][0]["resources"]["limits"]:
            assert [t["key"] for t in spec["tolerations"]] == ["nvidia.com/gpu"]


def test_image_references() -> None:
    digest = "sha256:" + "0" * 64
    values = {
        **EVERYTHING,
        "image": {"registry": "registry.example.com/team/", "pullSecrets": ["pull"]},
        "gateway": {"image": {"digest": digest}},
        "profiles": {"gpu-48g": {"image": {"tag": f"{VERSION}-cuda"}}},
    }
    found = {
        (container["name"], container["image"])
        for _, pod in pods(render(values))
        for container in pod["spec"]["containers"]
    }
    team = "registry.example.com/team"
    assert {
        ("gateway", f"{team}/sizeup-gateway@{digest}"),
        ("inference", f"{team}/sizeup-inference:{VERSION}"),
        ("inference", f"{team}/sizeup-inference:{VERSION}-cuda"),
        ("inference", f"{team}/sizeup-inference:{VERSION}-fake"),
        ("pull", f"{team}/sizeup-cli:{VERSION}"),
        ("check", f"{team}/sizeup-cli:{VERSION}"),
        ("mirror", f"{team}/sizeup-toys:{VERSION}"),
        ("loadtest", f"{team}/sizeup-loadtest:{VERSION}"),
    } == found
    for _, pod in pods(render(values)):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
