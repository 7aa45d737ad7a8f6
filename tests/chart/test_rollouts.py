"""How pods come, stay and go."""

from pathlib import Path
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    VARIANTS,
    Json,
    RefusedError,
    containers,
    environment,
    named,
    of_kind,
    pods,
    render,
    upgraded,
)
from images.bake import VERSION


def size(name: str, values: dict[str, Any] = EVERYTHING) -> Json:
    """Return the Deployment of a size."""
    return named(render(values), "Deployment", f"sizeup-{name}")


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("small", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        (
            "middle",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        ("sleeper", {"type": "Recreate"}),
        (
            "gateway",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
    ],
)
def test_only_who_needs_no_gpu_comes_before_the_old_one_goes(name: str, strategy: Json) -> None:
    assert size(name)["spec"]["strategy"] == strategy


def test_a_single_pod_with_a_gpu_goes_first() -> None:
    for deployment in of_kind(render(VARIANTS["gpu"]), "Deployment"):
        if deployment["metadata"]["name"] != "sizeup-gateway":
            assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_the_strategy_can_be_said() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    model = {"id": "Qwen/Qwen1.5-7B-Chat", "profile": "gpu-48g", "strategy": strategy}
    assert size("one", {"models": {"one": model}})["spec"]["strategy"] == strategy


def budget(deployment: Json) -> int:
    """Return the seconds a pod may take to be ready."""
    probe = containers(deployment["spec"]["template"])[-1]["startupProbe"]
    return int(probe["periodSeconds"] * probe["failureThreshold"])


def test_larger_sizes_get_longer_to_start() -> None:
    sizes = ["0-5b", "1-8b", "4b", "7b", "14b", "32b", "72b"]
    budgets = [budget(size(f"qwen1-5-{name}", VARIANTS["gpu"])) for name in sizes]
    assert budgets == [180, 240, 360, 600, 1020, 2100, 4500]


def test_the_time_to_start_can_be_said() -> None:
    model = {"id": "Qwen/Qwen1.5-0.5B-Chat", "startupSeconds": 1234}
    assert budget(size("one", {"models": {"one": model}})) == 1235


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_rollout_is_not_given_up_while_a_size_may_still_start(variant: str) -> None:
    for deployment in of_kind(render(VARIANTS[variant]), "Deployment"):
        if "progressDeadlineSeconds" in deployment["spec"]:
            assert deployment["spec"]["progressDeadlineSeconds"] > budget(deployment)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pod_is_not_killed_while_it_drains(variant: str) -> None:
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
def test_liveness_asks_the_process_and_readiness_the_model(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["timeoutSeconds"] >= 5
            if container["name"] in ("gateway", "inference"):
                assert container["livenessProbe"]["httpGet"]["path"] == "/livez", name
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name


def test_a_size_that_sleeps_starts_at_no_pods_and_knows_how_long_to_stay() -> None:
    sleeper = size("sleeper")
    assert sleeper["spec"]["replicas"] == 0
    variables = environment(containers(sleeper["spec"]["template"])[-1])
    assert variables["SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS"] == "90"


def test_a_size_that_stays_is_never_told_to_go() -> None:
    small = size("small")
    assert small["spec"]["replicas"] == 2
    variables = environment(containers(small["spec"]["template"])[-1])
    assert "SIZEUP_INFERENCE_KEEP_ALIVE_SECONDS" not in variables


def test_several_gpus_go_to_one_pod() -> None:
    resources = containers(size("sleeper")["spec"]["template"])[-1]["resources"]
    assert resources["limits"] == {"cpu": "8", "memory": "48Gi", "nvidia.com/gpu": 4}
    assert resources["requests"] == {"cpu": "4", "memory": "48Gi"}


def test_a_size_is_placed_by_its_profile_and_its_own_values() -> None:
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
    spec = size("one", values)["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"gpu": "l4", "zone": "b"}
    assert spec["tolerations"] == [{"key": "gpu"}, toleration]
    assert spec["affinity"] == {"nodeAffinity": {}}


def test_budgets_of_disruption_are_where_there_is_more_than_one_pod() -> None:
    names = {o["metadata"]["name"] for o in of_kind(render(EVERYTHING), "PodDisruptionBudget")}
    assert names == {"sizeup-gateway", "sizeup-small", "sizeup-middle"}
    assert budgets("perModel") == budgets("shared") == {"sizeup-gateway"}, (
        "one node: drained at once"
    )
    single = {"gateway": {"replicas": 1}}
    assert of_kind(render(single), "PodDisruptionBudget") == []


def budgets(mode: str) -> set[str]:
    """Return the names of the budgets where the cache is a disk of one node."""
    cache = {"mode": mode, "accessModes": ["ReadWriteOnce"]}
    objects = render({**EVERYTHING, "modelCache": cache})
    return {o["metadata"]["name"] for o in of_kind(objects, "PodDisruptionBudget")}


def test_an_autoscaler_has_the_say_over_the_gateways() -> None:
    assert "replicas" not in size("gateway")["spec"]
    (scaler,) = of_kind(render(EVERYTHING), "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "sizeup-gateway"


def test_an_autoscaler_that_is_turned_on_finds_the_gateways_that_run(tmp_path: Path) -> None:
    """A Deployment whose number goes from the manifest gets one pod."""
    live = {"sizeup-gateway": {"spec": {"replicas": 5}}}
    objects = upgraded(EVERYTHING, live, tmp_path)
    assert named(objects, "Deployment", "sizeup-gateway")["spec"]["replicas"] == 5


def test_a_size_that_sleeps_keeps_its_pods_at_an_upgrade(tmp_path: Path) -> None:
    live = {"sizeup-sleeper": {"spec": {"replicas": 1}}}
    objects = upgraded(EVERYTHING, live, tmp_path)
    assert named(objects, "Deployment", "sizeup-sleeper")["spec"]["replicas"] == 1


def test_pods_have_the_labels_and_volumes_that_were_added() -> None:
    small, gateway = size("small", EXTENDED), size("gateway", EXTENDED)
    assert small["spec"]["template"]["metadata"]["labels"]["team"] == "models"
    assert gateway["spec"]["template"]["metadata"]["labels"]["team"] == "search"
    for deployment in (small, gateway):
        assert "team" not in deployment["spec"]["selector"]["matchLabels"]
    (inference,) = small["spec"]["template"]["spec"]["containers"]
    assert inference["volumeMounts"][-1]["mountPath"] == "/more"
    spread = gateway["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["rack"]


@pytest.mark.parametrize("name", ["tmp", "models", "ca"])
def test_a_volume_that_was_added_has_a_name_of_its_own(name: str) -> None:
    values = {"inference": {"extraVolumes": [{"name": name, "emptyDir": {}}]}}
    with pytest.raises(RefusedError, match=rf"extraVolumes: {name} is a volume of the chart's own"):
        render(values)


def test_jobs_can_be_left_without_a_sidecar() -> None:
    for job in of_kind(render(EXTENDED), "Job"):
        annotations = job["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize("file", ["gpu", "scale-to-zero"])
def test_pods_with_gpus_tolerate_the_taint_of_their_nodes(file: str) -> None:
    for deployment in of_kind(render(VARIANTS[file]), "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        if "nvidia.com/gpu" in spec["containers"][0]["resources"]["limits"]:
            assert [t["key"] for t in spec["tolerations"]] == ["nvidia.com/gpu"]


def test_images_go_by_registry_tag_and_digest() -> None:
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
