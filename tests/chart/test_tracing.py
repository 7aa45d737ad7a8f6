"""Traces: the environment of gateways and sizes, and the way to the collector."""

import pytest

from chart.network_policy import Place, allows
from chart.rendering import (
    EVERYTHING,
    Json,
    RenderError,
    environment,
    merge,
    named,
    of_kind,
    pods,
    render,
)

ENDPOINT = "http://collector.observability:4318"
TRACED = merge(EVERYTHING, {"tracing": {"endpoint": ENDPOINT}})
COLLECTOR = Place({"app": "collector"}, "observability")
SIZES = ("small", "middle", "scaled", "fake")
OTHER = Place({"app": "other"}, "elsewhere")
DNS = Place({"k8s-app": "kube-dns"}, "kube-system")


def variables(values: Json) -> dict[str, Json]:
    """Return the variables of OpenTelemetry in each container that has some."""
    found = {
        f"{name}/{container['name']}": {
            key: value
            for key, value in environment(container).items()
            if key.startswith(("OTEL_", "K8S_"))
        }
        for name, pod in pods(render(values))
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    }
    return {name: own for name, own in found.items() if own}


def test_gateways_and_sizes_are_services_of_their_own() -> None:
    found = variables(TRACED)
    assert {name: own["OTEL_SERVICE_NAME"] for name, own in found.items()} == {
        "Deployment/sizeup-gateway/gateway": "sizeup-gateway",
        **{f"Deployment/sizeup-{key}/inference": f"sizeup-{key}" for key in SIZES},
    }
    for own in found.values():
        assert own["OTEL_EXPORTER_OTLP_ENDPOINT"] == ENDPOINT
        assert "k8s.pod.name=$(K8S_POD_NAME)" in own["OTEL_RESOURCE_ATTRIBUTES"]
        names = list(own)
        assert names.index("K8S_POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES")


def place_of(objects: list[Json], name: str) -> Place:
    deployment = named(objects, "Deployment", f"sizeup-{name}")
    return Place(deployment["spec"]["template"]["metadata"]["labels"])


def test_without_an_endpoint_there_are_no_variables() -> None:
    assert variables(EVERYTHING) == {}


def test_variables_of_the_operator_replace_those_of_the_chart() -> None:
    secret = {"secretKeyRef": {"name": "collector", "key": "headers"}}
    more = [
        {"name": "OTEL_SERVICE_NAME", "value": "mine"},
        {"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": secret},
    ]
    values = merge(TRACED, {"gateway": {"env": more}, "inference": {"env": more}})
    found = variables(values)
    assert found.keys() > {"Deployment/sizeup-gateway/gateway"}
    for own in found.values():
        assert own["OTEL_SERVICE_NAME"] == "mine"
        assert own["OTEL_EXPORTER_OTLP_HEADERS"] == secret


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        (ENDPOINT, 4318),
        ("https://collector.example.com", 443),
        ("http://collector/otlp", 80),
        ("http://[fd00::1]:4318/otlp", 4318),
    ],
)
@pytest.mark.parametrize("mode", ["shared", "ephemeral"])
def test_the_collector_is_reached_at_the_port_of_the_endpoint(
    endpoint: str, port: int, mode: str
) -> None:
    objects = render(
        merge(TRACED, {"tracing": {"endpoint": endpoint}, "modelCache": {"mode": mode}})
    )
    policies = of_kind(objects, "NetworkPolicy")
    for name in ("gateway", "small"):
        pod = place_of(objects, name)
        assert allows(policies, pod, COLLECTOR, port, "TCP")
        assert allows(policies, pod, DNS, 53, "UDP")
        assert not allows(policies, pod, OTHER, 8126, "TCP")


def test_the_collector_can_be_selected() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}
    objects = render(merge(TRACED, {"networkPolicy": {"collector": [peer]}}))
    policies = of_kind(objects, "NetworkPolicy")
    for name in ("gateway", "small"):
        pod = place_of(objects, name)
        assert allows(policies, pod, COLLECTOR, 4318, "TCP")
        assert not allows(policies, pod, OTHER, 4318, "TCP")


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317"])
def test_an_endpoint_is_a_url_of_http(endpoint: str) -> None:
    with pytest.raises(RenderError, match="endpoint"):
        render(merge(EVERYTHING, {"tracing": {"endpoint": endpoint}}))


@pytest.mark.parametrize("component", ["gateway", "inference"])
def test_the_collector_is_not_named_by_a_variable_alone(component: str) -> None:
    """The NetworkPolicies would permit no connection to it."""
    own = {"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://$(HOST_IP):4318"}]}
    with pytest.raises(RenderError, match=rf"{component}\.env.*tracing\.endpoint"):
        render({component: own})
    assert render({component: own, "networkPolicy": {"enabled": False}})
    assert render({component: own, "tracing": {"endpoint": ENDPOINT}})
