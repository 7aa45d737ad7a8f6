"""Fields of pods that operators set: each of them, wherever there are pods."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chart.rendering import (
    CHART,
    EVERYTHING,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    pods,
    render,
)
from chart.test_schema import POD_FIELDS
from chart.validation import KUBERNETES, validate

PLACES: dict[str, tuple[str, ...]] = {
    "gateway": ("gateway",),
    "inference": ("inference",),
    "profile": ("profiles", "cpu"),
    "model": ("models", "small"),
    "download": ("modelCache", "download"),
    "mirror": ("mirror",),
    "tests": ("tests",),
    "loadtest": ("loadtest",),
}
"""Where in the values."""
PODS = {
    "gateway": "Deployment/sizeup-gateway",
    "inference": "Deployment/sizeup-small",
    "profile": "Deployment/sizeup-small",
    "model": "Deployment/sizeup-small",
    "download": "Job/sizeup-pull-small-",
    "mirror": "Deployment/sizeup-mirror",
    "tests": "Pod/sizeup-test",
    "loadtest": "Job/sizeup-loadtest-",
}
"""Whose pods, by kind and the begin of the name."""
OWN = {"gateway", "wait", "inference", "pull", "mirror", "check", "loadtest"}
"""Names of the chart's containers."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
CONTAINER = {"name": "mine", "image": "example.com/mine:1", "securityContext": RESTRICTED}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "rack",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "sizeup"}},
}
CLAIM = {"name": "gpus", "resourceClaimTemplateName": "one-gpu"}
NODES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["l4", "l40s"]}]}
            ]
        }
    }
}
VALUES: dict[str, Any] = {
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"team": "search"},
    "env": [{"name": "http_proxy", "value": "http://proxy:3128"}],
    "envFrom": [{"secretRef": {"name": "more"}, "prefix": "MORE_"}],
    "initContainers": [CONTAINER],
    "extraContainers": [CONTAINER],
    "extraVolumes": [{"name": "more", "configMap": {"name": "more"}}],
    "extraVolumeMounts": [{"name": "tmp", "mountPath": "/more", "subPath": "more"}],
    "nodeSelector": {"pool": "a"},
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "affinity": NODES,
    "topologySpreadConstraints": [SPREAD],
    "priorityClassName": "high",
    "schedulerName": "kai-scheduler",
    "runtimeClassName": "gvisor",
    "resourceClaims": [CLAIM],
}

Shown = Callable[[Json, list[Json]], bool]


def in_spec(field: str) -> Shown:
    return lambda pod, _own: bool(pod["spec"][field] == VALUES[field])


def in_metadata(field: str, values: str) -> Shown:
    return lambda pod, _own: VALUES[values].items() <= pod["metadata"][field].items()


def in_containers(field: str, values: str) -> Shown:
    return lambda _pod, own: all(VALUES[values][0] in one[field] for one in own)


SHOWN: Mapping[str, Shown] = {
    "podAnnotations": in_metadata("annotations", "podAnnotations"),
    "podLabels": in_metadata("labels", "podLabels"),
    "env": in_containers("env", "env"),
    "envFrom": in_containers("envFrom", "envFrom"),
    "initContainers": lambda pod, _own: bool(pod["spec"]["initContainers"][0] == CONTAINER),
    "extraContainers": lambda pod, _own: bool(pod["spec"]["containers"][-1] == CONTAINER),
    "extraVolumes": lambda pod, _own: VALUES["extraVolumes"][0] in pod["spec"]["volumes"],
    "extraVolumeMounts": in_containers("volumeMounts", "extraVolumeMounts"),
    "affinity": lambda pod, _own: NODES.items() <= pod["spec"]["affinity"].items(),
    **{
        field: in_spec(field)
        for field in (
            *("nodeSelector", "tolerations", "topologySpreadConstraints", "resourceClaims"),
            *("priorityClassName", "schedulerName", "runtimeClassName"),
        )
    },
}
"""Whether a pod, with the chart's own containers in it, shows the value of a field."""


def at(place: str, values: Json) -> Json:
    """Return EVERYTHING with values at a place."""
    for key in reversed(PLACES[place]):
        values = {key: values}
    return merge(EVERYTHING, values)


def pod_at(place: str, values: Json, **more: Any) -> Json:
    """Return the pod of a place, with values there."""
    objects = render(merge(at(place, values), more))
    (found,) = [pod for name, pod in pods(objects) if name.startswith(PODS[place])]
    return found


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_a_field_is_in_the_pods_of_its_place_and_in_no_others(place: str, field: str) -> None:
    objects = render(at(place, {field: VALUES[field]}))
    of_several_models = place in ("inference", "profile", "download")
    for name, pod in pods(objects):
        own = [one for one in containers(pod) if one["name"] in OWN]
        expected = name.startswith(PODS[place])
        if expected:
            assert SHOWN[field](pod, own), name
        elif not (of_several_models and pod["metadata"]["labels"].get("sizeup.dev/model")):
            assert "mine" not in str(pod), name
            assert str(VALUES[field]) not in str(pod), name


def test_every_field_is_tested() -> None:
    assert VALUES.keys() == SHOWN.keys() == POD_FIELDS


@pytest.mark.parametrize("version", KUBERNETES)
def test_pods_with_every_field_are_valid(version: str) -> None:
    # Resource claims have had this form since 1.31.
    fields = {k: v for k, v in VALUES.items() if k != "resourceClaims" or version != "1.30"}
    fields["extraContainers"] = [{**CONTAINER, "name": "beside"}]
    values: Json = EVERYTHING
    for place in PLACES:
        if place not in ("inference", "profile"):
            values = merge(values, at(place, fields))
    for one in render(values):
        validate(one, version)


@pytest.mark.parametrize("place", PLACES)
def test_a_mount_of_no_volume_is_rejected(place: str) -> None:
    with pytest.raises(RenderError, match='volume "absent" of extraVolumeMounts'):
        render(at(place, {"extraVolumeMounts": [{"name": "absent", "mountPath": "/absent"}]}))


@pytest.mark.parametrize("place", PLACES)
def test_a_second_container_of_a_name_is_rejected(place: str) -> None:
    for name in ("mine", containers(pod_at(place, {}))[-1]["name"]):
        twice = {"initContainers": [CONTAINER], "extraContainers": [{**CONTAINER, "name": name}]}
        with pytest.raises(RenderError, match=rf'two containers with the name "{name}"'):
            render(at(place, twice))


def test_a_model_adds_to_its_profile_and_this_to_all_sizes() -> None:
    values = {
        "inference": {
            "env": [{"name": "A", "value": "all"}, {"name": "B", "value": "all"}],
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "podLabels": {"team": "all", "tier": "all"},
            "priorityClassName": "low",
        },
        "profiles": {
            "cpu": {
                "env": [{"name": "B", "value": "profile"}, {"name": "C", "value": "profile"}],
                "tolerations": [{"key": "b", "operator": "Exists"}],
                "affinity": NODES,
            }
        },
    }
    model = {
        "env": [{"name": "C", "value": "model"}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "podLabels": {"team": "model"},
        "priorityClassName": "high",
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    }
    pod = pod_at("model", model, **values)
    for container in containers(pod):
        wanted = {"A": "all", "B": "profile", "C": "model"}
        assert wanted.items() <= environment(container).items()
    assert [t["key"] for t in pod["spec"]["tolerations"]] == ["a", "b"]
    assert {"team": "model", "tier": "all"}.items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["priorityClassName"] == "high"
    assert pod["spec"]["affinity"].keys() == {"nodeAffinity", "podAntiAffinity"}


@pytest.mark.parametrize("place", ["gateway", "inference"])
def test_a_spread_without_a_selector_counts_the_pods_of_its_workload(place: str) -> None:
    spread = [{k: v for k, v in SPREAD.items() if k != "labelSelector"}]
    for _, pod in pods(render(at(place, {"topologySpreadConstraints": spread}))):
        for one in pod["spec"].get("topologySpreadConstraints", []):
            if one["topologyKey"] == "rack":
                selector = one["labelSelector"]["matchLabels"]
                assert selector.items() <= pod["metadata"]["labels"].items()
                assert ("sizeup.dev/model" in selector) == (place == "inference")


def test_null_removes_what_a_more_general_place_has() -> None:
    maps = ("podLabels", "podAnnotations", "nodeSelector")
    names = ("priorityClassName", "schedulerName", "runtimeClassName")
    removed = {field: dict.fromkeys(VALUES[field]) for field in maps} | dict.fromkeys(names)
    pod = pod_at("model", removed, inference={field: VALUES[field] for field in (*maps, *names)})
    assert pod["spec"].keys().isdisjoint((*maps, *names))
    assert pod["metadata"]["labels"].keys().isdisjoint(VALUES["podLabels"])
    assert pod["metadata"]["annotations"].keys().isdisjoint(VALUES["podAnnotations"])


@pytest.mark.parametrize("place", PLACES)
def test_every_field_may_be_null(place: str) -> None:
    assert pod_at(place, dict.fromkeys(VALUES)) == pod_at(place, {})


LISTS: dict[str, tuple[str, Json]] = {
    "env": ("SIZEUP_GATEWAY_LOG_LEVEL", {"value": "debug"}),
    "extraVolumes": ("tmp", {"emptyDir": {"sizeLimit": "1Gi"}}),
    "extraVolumeMounts": ("/tmp", {"name": "tmp", "subPath": "mine"}),
}


@pytest.mark.parametrize("field", LISTS)
def test_an_entry_replaces_that_of_the_chart(field: str) -> None:
    name, entry = LISTS[field]
    key = "mountPath" if field == "extraVolumeMounts" else "name"
    pod = pod_at("gateway", {field: [{key: name, **entry}]})
    (container,) = containers(pod)
    mounts, volumes = container["volumeMounts"], pod["spec"]["volumes"]
    within = {"env": container["env"], "extraVolumeMounts": mounts, "extraVolumes": volumes}
    assert [one for one in within[field] if one[key] == name] == [{key: name, **entry}]


@pytest.mark.parametrize("place", PLACES)
def test_no_list_has_a_name_twice(place: str) -> None:
    """Server-side apply refuses it."""
    before = pod_at(place, {})
    own = containers(before)[-1]
    twice = {
        "env": [{"name": one["name"], "value": "mine"} for one in own["env"]] * 2,
        "extraVolumes": [{**one, "emptyDir": {}} for one in before["spec"]["volumes"]],
        "extraVolumeMounts": own["volumeMounts"] * 2,
    }
    fixed = ("_HOST", "_PORT", "_ENGINE", "_DRAIN_SECONDS", "_BYTES", "_MAP", "_SELECTOR")
    kept = ("_CATALOG", "_DISCOVERY", "_ACTIVATION_SECONDS")
    twice["env"] = [e for e in twice["env"] if not e["name"].endswith((*fixed, *kept))]
    pod = pod_at(place, twice)
    for container in containers(pod):
        names = [one["name"] for one in container["env"]]
        paths = [one["mountPath"] for one in container["volumeMounts"]]
        assert sorted(names) == sorted(set(names))
        assert sorted(paths) == sorted(set(paths))
    volumes = [one["name"] for one in pod["spec"]["volumes"]]
    assert sorted(volumes) == sorted(set(volumes))


def test_waiting_for_the_download_reads_the_variables_of_the_model() -> None:
    env = [{"name": "SIZEUP_INFERENCE_MODEL", "value": "/weights/x"}]
    for container in containers(pod_at("model", {"env": env})):
        assert environment(container)["SIZEUP_INFERENCE_MODEL"] == "/weights/x"


def test_rejected_variables_are_those_of_the_chart() -> None:
    text = (CHART / "templates" / "_checks.tpl").read_text()
    names = set(re.findall(r"^(SIZEUP_\w+): ", text, re.MULTILINE))
    own = {
        name
        for _, pod in pods(render(EVERYTHING))
        for c in containers(pod)
        for name in environment(c)
    }
    assert len(names) > 10
    assert names <= own
    assert {name for name in own if name.endswith(("_HOST", "_PORT", "_DRAIN_SECONDS"))} <= names


@pytest.mark.parametrize(
    ("place", "name", "cure"),
    [
        ("gateway", "SIZEUP_GATEWAY_PORT", "gateway.service.port"),
        ("gateway", "sizeup_gateway_host", "listen"),
        ("gateway", "SIZEUP_GATEWAY_DRAIN_SECONDS", "gateway.drainSeconds"),
        ("inference", "SIZEUP_INFERENCE_PORT", "8080"),
        ("profile", "SIZEUP_INFERENCE_TENSOR_PARALLEL", ":count"),
        ("model", "SIZEUP_INFERENCE_ENGINE", "engine"),
        ("gateway", "OTEL_EXPORTER_OTLP_ENDPOINT", "tracing.endpoint"),
        ("inference", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "tracing.endpoint"),
    ],
)
def test_a_variable_on_which_other_objects_depend_is_rejected(
    place: str, name: str, cure: str
) -> None:
    path = ".".join(PLACES[place])
    with pytest.raises(RenderError, match=rf"{path}\.env: .*{name}: .*{cure}"):
        render(at(place, {"env": [{"name": name, "value": "1"}]}))


def test_an_ephemeral_cache_downloads_with_the_fields_of_downloads() -> None:
    download = {
        "env": [{"name": "SIZEUP_HUB_ATTEMPTS", "value": "3"}],
        "extraVolumes": [{"name": "netrc", "secret": {"secretName": "netrc"}}],
        "extraVolumeMounts": [{"name": "netrc", "mountPath": "/netrc"}],
        "initContainers": [{**CONTAINER, "name": "proxy"}],
    }
    cache = {"mode": "ephemeral", "download": download}
    pod = pod_at("model", {"initContainers": [CONTAINER]}, modelCache=cache)
    *before, pull, inference = containers(pod)
    assert [one["name"] for one in before] == ["mine", "proxy"]
    assert [pull["name"], inference["name"]] == ["pull", "inference"]
    assert environment(pull)["SIZEUP_HUB_ATTEMPTS"] == "3"
    assert "SIZEUP_HUB_ATTEMPTS" not in environment(inference)
    assert pull["volumeMounts"][-1]["name"] == "netrc"
    assert "netrc" in {volume["name"] for volume in pod["spec"]["volumes"]}


def test_hook_annotations_of_the_test_are_the_charts() -> None:
    annotations = {"helm.sh/hook": "pre-install", "a": "b"}
    pod = named(
        render({**EVERYTHING, "tests": {"podAnnotations": annotations}}), "Pod", "sizeup-test"
    )
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["metadata"]["annotations"]["a"] == "b"
