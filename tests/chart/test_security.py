"""Pod Security "restricted", the least rights, and who holds which secret."""

import json
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    VARIANTS,
    Json,
    RefusedError,
    containers,
    named,
    of_kind,
    pods,
    render,
)

VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "name"}
"""Of those that "restricted" allows, the ones we have a use for."""


def security(pod: Json) -> dict[str, Any]:
    """Return every field that matters, for comparing with what it must be."""
    spec = pod["spec"]
    context = spec["securityContext"]
    return {
        "runAsNonRoot": context.get("runAsNonRoot"),
        "runAsUser": context.get("runAsUser"),
        "runAsGroup": context.get("runAsGroup"),
        "fsGroup": context.get("fsGroup"),
        "fsGroupChangePolicy": context.get("fsGroupChangePolicy"),
        "seccomp": context.get("seccompProfile"),
        "enableServiceLinks": spec.get("enableServiceLinks"),
        "host": {key for key in spec if key.startswith("host")},
        "windows, sysctls": {key for key in context if key in ("windowsOptions", "sysctls")},
        "volumes": {kind for volume in spec["volumes"] for kind in volume} - VOLUMES,
        "shareProcessNamespace": spec.get("shareProcessNamespace", False),
    }


RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccomp": {"type": "RuntimeDefault"},
    "enableServiceLinks": False,
    "host": set(),
    "windows, sysctls": set(),
    "volumes": set(),
    "shareProcessNamespace": False,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_is_restricted(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        assert security(pod) == RESTRICTED, name


def test_openshift_chooses_the_ids_itself() -> None:
    values = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    for name, pod in pods(render({**EVERYTHING, "podSecurityContext": values})):
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_container_is_restricted_and_bounded(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert [port for port in container.get("ports", []) if "hostPort" in port] == [], name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_folder_that_can_be_filled_has_a_limit(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for volume in pod["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"].get("sizeLimit"), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_gateway_has_a_token_for_the_api_server(variant: str) -> None:
    objects = render(VARIANTS[variant])
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    holding = {n for n, pod in pods(objects) if pod["spec"]["automountServiceAccountToken"]}
    assert holding == {"Deployment/sizeup-gateway"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_runs_as_an_account_of_its_own_kind(variant: str) -> None:
    objects = render(VARIANTS[variant])
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    for name, pod in pods(objects):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert pod["spec"]["serviceAccountName"] == f"sizeup-{component}", name
        assert f"sizeup-{component}" in accounts


def test_the_gateway_may_read_endpoints_and_scale_what_sleeps() -> None:
    assert named(render(EVERYTHING), "Role", "sizeup-gateway")["rules"] == [
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": ["sizeup-sleeper"],
            "verbs": ["get", "update"],
        },
    ]


def test_where_nothing_sleeps_nothing_may_be_scaled() -> None:
    (rule,) = named(render(VARIANTS["gpu"]), "Role", "sizeup-gateway")["rules"]
    assert rule["resources"] == ["endpointslices"]


def test_accounts_have_the_annotations_of_the_cloud() -> None:
    accounts = of_kind(render(EXTENDED), "ServiceAccount")
    found = {a["metadata"]["name"]: a["metadata"].get("annotations") for a in accounts}
    for component in ("gateway", "inference", "download"):
        assert found[f"sizeup-{component}"] == {"cloud": component}
    assert found["sizeup-test"] is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_there_is_one_role_for_one_account_in_one_namespace(variant: str) -> None:
    objects = render(VARIANTS[variant])
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
    assert len(of_kind(objects, "Role")) == 1
    (binding,) = of_kind(objects, "RoleBinding")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "sizeup-gateway", "namespace": "models"}
    ]


def holders(values: dict[str, Any], secret: str) -> set[tuple[str, str]]:
    """Return the containers whose variables or mounts come from a Secret."""
    return {
        (pod["metadata"]["labels"]["app.kubernetes.io/component"], container["name"])
        for _, pod in pods(render(values))
        for container in containers(pod)
        if json.dumps({"name": secret})[1:-1] in json.dumps(container.get("env", []))
        or any(
            volume.get("secret", {}).get("secretName") == secret
            for mount in container["volumeMounts"]
            for volume in pod["spec"]["volumes"]
            if volume["name"] == mount["name"]
        )
    }


def test_the_hubs_token_is_with_the_downloads_alone() -> None:
    assert holders(EVERYTHING, "hub") == {("download", "pull")}
    assert holders(VARIANTS["ephemeral"], "hub") == {("inference", "pull")}


def test_api_keys_are_files_of_the_gateway_and_of_who_asks_it() -> None:
    asking = {("test", "check"), ("loadtest", "loadtest")}
    assert holders(EVERYTHING, "keys") == {("gateway", "gateway"), *asking}
    gateway = named(render(EVERYTHING), "Deployment", "sizeup-gateway")
    assert "secretKeyRef" not in json.dumps(gateway)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_holds_no_secret(variant: str) -> None:
    assert of_kind(render(VARIANTS[variant]), "Secret") == []


@pytest.mark.parametrize(
    "outside",
    [
        {"ingress": {"enabled": True, "hosts": ["a.example.com"]}},
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
        {"service": {"type": "LoadBalancer"}},
        {"service": {"type": "NodePort"}},
    ],
)
def test_a_gateway_that_strangers_reach_asks_for_keys(outside: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="asks for no API key"):
        render({"gateway": outside})
    assert render({"gateway": outside, "auth": {"existingSecret": {"name": "keys"}}})
    assert render({"gateway": outside, "auth": {"allowAnonymous": True}})
