"""Pod Security "restricted", least privilege, and which containers mount which Secret."""

import json
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    VARIANTS,
    Json,
    RenderError,
    containers,
    merge,
    named,
    of_kind,
    pods,
    render,
)

VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "name"}
"""Volume types in use; a subset of those that "restricted" allows."""


def security(pod: Json) -> dict[str, Any]:
    """Return the security-relevant fields of a pod, to compare with RESTRICTED."""
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
def test_pods_satisfy_pod_security_restricted(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        assert security(pod) == RESTRICTED, name


def test_ids_can_be_left_to_openshift() -> None:
    values = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    for name, pod in pods(render({**EVERYTHING, "podSecurityContext": values})):
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_containers_are_restricted_and_have_resource_limits(variant: str) -> None:
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
def test_empty_dirs_have_a_size_limit(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for volume in pod["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"].get("sizeLimit"), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_gateway_mounts_a_service_account_token(variant: str) -> None:
    objects = render(VARIANTS[variant])
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    mounting = {n for n, pod in pods(objects) if pod["spec"]["automountServiceAccountToken"]}
    assert mounting == {"Deployment/sizeup-gateway"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_component_has_its_own_service_account(variant: str) -> None:
    objects = render(VARIANTS[variant])
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    for name, pod in pods(objects):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert pod["spec"]["serviceAccountName"] == f"sizeup-{component}", name
        assert f"sizeup-{component}" in accounts


def test_gateway_role_names_what_it_covers() -> None:
    assert named(render(EVERYTHING), "Role", "sizeup-gateway")["rules"] == [
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": ["sizeup-scaled"],
            "verbs": ["get", "update"],
        },
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": ["sizeup-middle", "sizeup-scaled"],
            "verbs": ["get", "patch"],
        },
        {
            "apiGroups": ["batch"],
            "resources": ["jobs"],
            "verbs": ["get"],
        },
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["sizeup-created-models"],
            "verbs": ["list", "watch", "patch"],
        },
    ]


def test_gateway_role_has_only_what_the_values_need() -> None:
    cpus = {"models": {"small": EVERYTHING["models"]["small"]}}
    values = merge(cpus, {"gateway": {"createdModels": {"enabled": False}}})
    (rule,) = named(render(values), "Role", "sizeup-gateway")["rules"]
    assert rule["resources"] == ["endpointslices"]


def test_service_account_annotations() -> None:
    accounts = of_kind(render(EXTENDED), "ServiceAccount")
    found = {a["metadata"]["name"]: a["metadata"].get("annotations") for a in accounts}
    for component in ("gateway", "inference", "download"):
        assert found[f"sizeup-{component}"] == {"cloud": component}
    assert found["sizeup-test"] is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_single_role_in_a_single_namespace(variant: str) -> None:
    objects = render(VARIANTS[variant])
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
    assert len(of_kind(objects, "Role")) == 1
    (binding,) = of_kind(objects, "RoleBinding")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "sizeup-gateway", "namespace": "models"}
    ]


def holders(values: dict[str, Any], secret: str) -> set[tuple[str, str]]:
    """Return component and name of the containers that use a Secret, as variable or mount."""
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


def test_hub_token_is_mounted_in_downloads_only() -> None:
    assert holders(EVERYTHING, "hub") == {("download", "pull")}
    assert holders(VARIANTS["ephemeral"], "hub") == {("inference", "pull")}


def test_api_keys_are_files_of_the_gateway_and_its_clients() -> None:
    clients = {("test", "check"), ("loadtest", "loadtest")}
    assert holders(EVERYTHING, "keys") == {("gateway", "gateway"), *clients}
    gateway = named(render(EVERYTHING), "Deployment", "sizeup-gateway")
    assert "secretKeyRef" not in json.dumps(gateway)


@pytest.mark.parametrize("variant", VARIANTS)
def test_chart_renders_no_secrets(variant: str) -> None:
    assert of_kind(render(VARIANTS[variant]), "Secret") == []


@pytest.mark.parametrize(
    "exposed",
    [
        {"ingress": {"enabled": True, "hosts": ["a.example.com"]}},
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
        {"service": {"type": "LoadBalancer"}},
        {"service": {"type": "NodePort"}},
    ],
)
def test_exposed_gateway_requires_api_keys(exposed: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match=r"auth\.existingSecret\.name"):
        render({"gateway": exposed})
    assert render({"gateway": exposed, "auth": {"existingSecret": {"name": "keys"}}})
    assert render({"gateway": exposed, "auth": {"allowAnonymous": True}})
