"""Addresses: what processes listen on, the families of Services, hosts and paths of the Ingress."""

from pathlib import Path
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    notes,
    of_kind,
    pods,
    render,
)
from chart.validation import KUBERNETES, validate

FAMILIES: Json = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}


def listened(values: Json) -> set[str]:
    """Return the addresses that processes listen on."""
    found = set()
    for _, pod in pods(render(values)):
        for container in containers(pod):
            variables = environment(container).items()
            found |= {value for name, value in variables if name.endswith("_HOST")}
            arguments = container.get("args", [])
            if "--host" in arguments:
                found.add(arguments[arguments.index("--host") + 1])
    return found


def test_every_process_listens_on_one_address() -> None:
    assert listened(EVERYTHING) == {"0.0.0.0"}
    assert listened(merge(EVERYTHING, {"listen": "::"})) == {"::"}
    with pytest.raises(RenderError, match="listen"):
        render({"listen": "127.0.0.1"})


@pytest.mark.parametrize("version", KUBERNETES)
def test_families_of_every_service(version: str) -> None:
    services: Json = {
        "gateway": {"service": FAMILIES},
        "inference": {"service": FAMILIES},
        "mirror": {"service": FAMILIES},
        "listen": "::",
    }
    found = of_kind(render(merge(EVERYTHING, services)), "Service")
    assert len(found) == 7
    for service in found:
        validate(service, version)
        assert FAMILIES.items() <= service["spec"].items()
    for service in of_kind(render(EVERYTHING), "Service"):
        assert service["spec"].keys().isdisjoint(FAMILIES)


HOSTS: list[tuple[Any, list[tuple[str, str]]]] = [
    ("a.example.com", [("/", "Prefix")]),
    ({"host": "a.example.com"}, [("/", "Prefix")]),
    ({"host": "a.example.com", "paths": ["/v1", "/api"]}, [("/v1", "Prefix"), ("/api", "Prefix")]),
    (
        {"host": "a.example.com", "paths": [{"path": "/v1", "pathType": "Exact"}, {"path": "/"}]},
        [("/v1", "Exact"), ("/", "Prefix")],
    ),
]


def with_host(host: Any) -> Json:
    return merge(EVERYTHING, {"gateway": {"ingress": {"hosts": [host]}}})


@pytest.mark.parametrize(("host", "paths"), HOSTS)
def test_hosts_of_the_ingress(host: Any, paths: list[tuple[str, str]]) -> None:
    (ingress,) = of_kind(render(with_host(host)), "Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "a.example.com"
    assert [(p["path"], p["pathType"]) for p in rule["http"]["paths"]] == paths
    for version in KUBERNETES:
        validate(ingress, version)


@pytest.mark.parametrize("host", [{"paths": ["/"]}, {"host": "a", "paths": ["v1"]}, {"name": "a"}])
def test_invalid_host_is_rejected(host: Json) -> None:
    with pytest.raises(RenderError, match=r"ingress\.hosts"):
        render(with_host(host))


@pytest.mark.parametrize("host", [HOSTS[0][0], HOSTS[2][0]])
def test_notes_print_the_host(host: Any, tmp_path: Path) -> None:
    assert "http://a.example.com\n" in notes(with_host(host), tmp_path)


def test_metrics_of_the_autoscaler() -> None:
    queued = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "sizeup_gateway_requests_in_flight"},
            "target": {"type": "AverageValue", "averageValue": "200"},
        },
    }
    scaling = {"metrics": [queued], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}
    values = merge(EVERYTHING, {"gateway": {"autoscaling": scaling}})
    (found,) = of_kind(render(values), "HorizontalPodAutoscaler")
    assert found["spec"]["metrics"] == [queued]
    assert found["spec"]["behavior"] == scaling["behavior"]
    for version in KUBERNETES:
        validate(found, version)


def test_every_container_can_have_a_limit_of_cpu() -> None:
    """A ResourceQuota of limits.cpu demands it."""
    limited: Json = {"limits": {"cpu": "1"}}
    values: Json = {
        "gateway": {"resources": limited},
        "inference": {"waitResources": limited},
        "modelCache": {"download": {"resources": limited}},
        "mirror": {"resources": limited},
        "tests": {"resources": limited},
    }
    for name, pod in pods(render(merge(EVERYTHING, values))):
        for container in containers(pod):
            assert container["resources"]["limits"]["cpu"], name


MONITORS = {"serviceMonitor": "ServiceMonitor", "podMonitor": "PodMonitor"}


@pytest.mark.parametrize("monitor", MONITORS)
def test_fields_of_monitors(monitor: str) -> None:
    drop = {"action": "drop", "sourceLabels": ["__name__"], "regex": "python_.*"}
    team = {"targetLabel": "team", "replacement": "search"}
    own = {
        "namespace": "monitoring",
        "labels": {"release": "other"},
        "relabelings": [team],
        "metricRelabelings": [drop],
    }
    values = merge(EVERYTHING, {"monitoring": {monitor: own, "labels": {"release": "stack"}}})
    (found,) = of_kind(render(values), MONITORS[monitor])
    validate(found, KUBERNETES[0])
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["release"] == "other"
    assert found["spec"]["namespaceSelector"] == {"matchNames": ["models"]}
    (endpoint,) = found["spec"].get("endpoints") or found["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"][-1] == team
    assert endpoint["metricRelabelings"] == [drop]
    (before,) = of_kind(render(EVERYTHING), MONITORS[monitor])
    assert "namespaceSelector" not in before["spec"]
    if monitor == "podMonitor":  # the dashboards use its label
        assert endpoint["relabelings"][0]["targetLabel"] == "size"


def test_rules_of_the_operator() -> None:
    mine = [
        {"record": "sizeup:requests:rate5m", "expr": "sum(rate(sizeup_gateway_requests_total[5m]))"}
    ]
    rule = {"labels": {"role": "alerts"}, "namespace": "monitoring", "additionalRules": mine}
    values = merge(EVERYTHING, {"monitoring": {"prometheusRule": rule}})
    found = named(render(values), "PrometheusRule", "sizeup")
    validate(found, KUBERNETES[0])
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["role"] == "alerts"
    (group,) = found["spec"]["groups"]
    assert group["rules"][-1:] == mine


@pytest.mark.parametrize(
    ("service", "listen", "cure"),
    [
        ({"ipFamilies": ["IPv6"]}, "0.0.0.0", "listen"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "0.0.0.0", "listen"),
        ({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "SingleStack"}, "::", "DualStack"),
    ],
)
@pytest.mark.parametrize("component", ["gateway", "inference", "mirror"])
def test_families_that_no_pod_serves_are_rejected(
    component: str, service: Json, listen: str, cure: str
) -> None:
    with pytest.raises(RenderError, match=rf"{component}\.service.*{cure}"):
        render({"listen": listen, component: {"service": service}})


def test_utilization_requires_a_request_of_cpu() -> None:
    """Without, the autoscaler would have no metric, and scale nothing."""
    values = {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}
    with pytest.raises(RenderError, match=r"gateway\.resources\.requests\.cpu"):
        render({"gateway": values})
    assert render({"gateway": {**values, "resources": {"requests": None, "limits": {"cpu": 1}}}})
