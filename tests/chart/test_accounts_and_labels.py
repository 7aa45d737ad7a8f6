"""ServiceAccounts, the gateway's role, pull secrets, and labels of every object."""

from pathlib import Path
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    Json,
    RenderError,
    containers,
    identity,
    merge,
    named,
    notes,
    of_kind,
    pods,
    render,
)
from chart.validation import KUBERNETES, validate

PLACES: dict[str, tuple[str, ...]] = {
    "gateway": ("gateway",),
    "inference": ("inference",),
    "download": ("modelCache", "download"),
    "mirror": ("mirror",),
    "test": ("tests",),
    "loadtest": ("loadtest",),
}
"""Where the account of a component is in the values."""


def with_account(component: str, account: Json) -> Json:
    values: Json = {"serviceAccount": account}
    for key in reversed(PLACES[component]):
        values = {key: values}
    return merge(EVERYTHING, values)


def accounts_of(objects: list[Json], component: str) -> set[str]:
    """Return the accounts that the pods of a component use."""
    return {
        pod["spec"]["serviceAccountName"]
        for _, pod in pods(objects)
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
    }


@pytest.mark.parametrize("component", PLACES)
@pytest.mark.parametrize(
    ("account", "name", "created"),
    [
        ({"create": False, "name": "mine"}, "mine", False),
        ({"create": False}, "default", False),
        ({"name": "mine"}, "mine", True),
    ],
)
def test_pods_use_the_account(component: str, account: Json, name: str, *, created: bool) -> None:
    objects = render(with_account(component, account))
    assert accounts_of(objects, component) == {name}
    names = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    assert (name in names) == created
    assert f"sizeup-{component}" not in names
    if component == "gateway":
        (binding,) = of_kind(objects, "RoleBinding")
        assert binding["subjects"][0]["name"] == name


def test_one_account_of_several_components_is_created_once() -> None:
    both = with_account("inference", {"name": "pods"})
    shared: Json = {"mirror": {"serviceAccount": {"create": False, "name": "pods"}}}
    objects = render(merge(both, shared))
    assert accounts_of(objects, "inference") == accounts_of(objects, "mirror") == {"pods"}
    again = merge(both, {"mirror": {"serviceAccount": {"name": "pods"}}})
    with pytest.raises(RenderError, match=r"inference\.serviceAccount and mirror\.serviceAccount"):
        render(again)
    generated = with_account("gateway", {"name": "sizeup-inference"})
    with pytest.raises(RenderError, match=r"gateway\.serviceAccount and inference\.serv"):
        render(generated)
    unused = {"tests": {"enabled": False}, **with_account("gateway", {"name": "sizeup-test"})}
    assert len(of_kind(render(unused), "ServiceAccount")) == 5


@pytest.mark.parametrize("component", PLACES)
def test_a_name_that_another_component_has_by_default_is_rejected(component: str) -> None:
    taken = "sizeup-gateway" if component != "gateway" else "sizeup-inference"
    with pytest.raises(RenderError, match=f'the same account "{taken}"'):
        render(with_account(component, {"name": taken}))


def test_roles_of_the_operator(tmp_path: Path) -> None:
    values = merge(EVERYTHING, {"rbac": {"create": False}})
    assert of_kind(render(values), "Role", "RoleBinding") == []
    (role,) = of_kind(render(EVERYTHING), "Role")
    printed = notes(values, tmp_path)
    for rule in role["rules"]:
        assert all(resource in printed for resource in rule["resources"])
        assert all(name in printed for name in rule.get("resourceNames", []))


@pytest.mark.parametrize("secret", ["pull", {"name": "pull"}])
def test_pull_secrets_are_names_or_objects(secret: Any) -> None:
    for _, pod in pods(render({**EVERYTHING, "image": {"pullSecrets": [secret]}})):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_images_and_pull_secrets_of_a_parent_chart() -> None:
    ours = {"imageRegistry": "registry.example.com/all", "imagePullSecrets": ["all", {"name": "x"}]}
    values = merge(EVERYTHING, {"global": ours})
    for _, pod in pods(render(values)):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "all"}, {"name": "x"}]
        assert all(c["image"].startswith("registry.example.com/all/") for c in containers(pod))
    for _, pod in pods(render(merge(values, {"image": {"registry": "own", "pullSecrets": ["x"]}}))):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "x"}, {"name": "all"}]
        assert all(c["image"].startswith("own/") for c in containers(pod))


LABELS = {"team": "search", "example.com/cost": "a-1", "app.kubernetes.io/part-of": "chat"}


def selectors(one: Json) -> Json:
    """Return the fields by which an object selects others."""
    spec = one.get("spec", {})
    spread = spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints")
    return {"selector": spec.get("selector"), "pods": spec.get("podSelector"), "spread": spread}


@pytest.mark.parametrize("mode", ["shared", "perModel", "ephemeral"])
def test_common_labels_are_on_every_object_and_pod_but_in_no_selector(mode: str) -> None:
    values = merge(EVERYTHING, {"modelCache": {"mode": mode}})
    before = {identity(one): one for one in render(values)}
    for one in render(merge(values, {"commonLabels": LABELS})):
        assert LABELS.items() <= one["metadata"]["labels"].items(), identity(one)
        if one["kind"] != "Job":  # whose name is the hash of its spec
            assert selectors(one) == selectors(before[identity(one)])
    for name, pod in pods(render(merge(values, {"commonLabels": LABELS}))):
        assert LABELS.items() <= pod["metadata"]["labels"].items(), name


@pytest.mark.parametrize(
    "label",
    [
        *("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"),
        *("app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"),
        "sizeup.dev/model",
    ],
)
def test_labels_of_the_chart_cannot_be_replaced(label: str) -> None:
    with pytest.raises(RenderError, match="commonLabels"):
        render({"commonLabels": {label: "mine"}})


def test_labels_of_one_kind_of_object_come_before_those_of_all() -> None:
    more: Json = {
        "commonLabels": {"team": "all"},
        "monitoring": {"labels": {"team": "monitoring"}, "podMonitor": {"labels": {"team": "own"}}},
        "modelCache": {"labels": {"team": "cache"}},
        "gateway": {"podLabels": {"team": "gateway"}},
    }
    objects = render(merge(EVERYTHING, more))

    def team(kind: str, name: str) -> str:
        return str(named(objects, kind, name)["metadata"]["labels"]["team"])

    assert team("PodMonitor", "sizeup-models") == "own"
    assert team("ServiceMonitor", "sizeup-gateway") == "monitoring"
    assert team("PersistentVolumeClaim", "sizeup-cache") == "cache"
    gateway = named(objects, "Deployment", "sizeup-gateway")
    assert gateway["metadata"]["labels"]["team"] == "all"
    assert gateway["spec"]["template"]["metadata"]["labels"]["team"] == "gateway"


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_with_labels_and_foreign_accounts_are_valid(version: str) -> None:
    values = merge(EVERYTHING, {"commonLabels": LABELS})
    for component in PLACES:
        mine = with_account(component, {"create": False, "name": "mine"})
        values = merge(mine, {"commonLabels": LABELS})
        for one in render(values):
            validate(one, version)
