"""Dashboards and alerts ask for metrics that exist, by labels that they have."""

import json
import re
from collections.abc import Iterator
from functools import cache

import pytest
from prometheus_client import CollectorRegistry

from chart.rendering import (
    CHART,
    EVERYTHING,
    VARIANTS,
    containers,
    environment,
    named,
    of_kind,
    pods,
    render,
)
from sizeup.hub.metrics import PullMetrics
from sizeup.hub.progress import PullProgress
from sizeup_gateway.catalog import Models
from sizeup_gateway.metrics import Metrics, ModelCollector
from sizeup_inference.engine import EngineStats
from sizeup_inference.metrics import InferenceMetrics
from sizeup_wire.catalog import Catalog, CatalogEntry

ADDED = {"namespace", "pod", "size"}
"""Labels that Prometheus and the PodMonitor add to every series."""

_SELECTOR = re.compile(r"\b(sizeup_(?:gateway|inference|pull)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


@cache
def declared() -> dict[str, set[str]]:
    """Return the labels of every series the services have, by its name."""
    gateway, inference, pull = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    Metrics.register(gateway)
    catalog = Catalog(models={"toy": CatalogEntry(id="sizeup/toy", names=("toy",))})
    gateway.register(ModelCollector(Models(catalog)))
    InferenceMetrics(inference, "toy").watch(lambda: EngineStats(*[0] * 10))
    pull.register(PullMetrics("toy", PullProgress()))
    return {name: labels for r in (gateway, inference, pull) for name, labels in series(r)}


def series(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    """Yield the names that a family of samples has, with its labels."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    for collector in list(registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            known = labels.union(*(sample.labels for sample in family.samples))
            for suffix in suffixes[family.type]:
                yield family.name + suffix, known | ({"le"} if suffix == "_bucket" else set())


def dashboards() -> Iterator[tuple[str, str]]:
    """Yield every query of every dashboard."""
    for file in sorted((CHART / "files" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"][1:]:
            yield f"{file.stem}: ${variable['name']}", variable["query"]["query"]


def alerts() -> Iterator[tuple[str, str]]:
    """Yield every query of every alert."""
    (rule,) = of_kind(render(EVERYTHING), "PrometheusRule")
    for group in rule["spec"]["groups"]:
        for one in group["rules"]:
            yield f"alert {one['alert']}", one["expr"]


QUERIES = [*dashboards(), *alerts()]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_a_query_is_about_series_and_labels_that_exist(where: str, query: str) -> None:
    selectors = _SELECTOR.findall(query)
    assert selectors
    grouped = {label.strip() for group in _GROUPING.findall(query) for label in group.split(",")}
    for name, matchers in selectors:
        assert name in declared()
        known = declared()[name] | ADDED
        assert set(_MATCHER.findall(matchers)) <= known
        assert grouped <= known


def test_every_brace_of_a_query_is_closed() -> None:
    for where, query in QUERIES:
        for opening, closing in ("()", "{}", "[]"):
            assert query.count(opening) == query.count(closing), where


def test_dashboards_are_found_by_grafana() -> None:
    boards = [
        o
        for o in of_kind(render(EVERYTHING), "ConfigMap")
        if "dashboard" in str(o["metadata"]["name"])
    ]
    assert len(boards) == 2
    for board in boards:
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = board["data"].values()
        assert json.loads(text)["panels"]


def test_monitors_find_a_metrics_port_on_what_they_select() -> None:
    objects = render(EVERYTHING)
    (monitor,) = of_kind(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [o for o in of_kind(objects, "Service") if wanted <= o["metadata"]["labels"].items()]
    ports = [port["name"] for service in services for port in service["spec"]["ports"]]
    assert ports.count(monitor["spec"]["endpoints"][0]["port"]) == 1
    (monitor,) = of_kind(objects, "PodMonitor")
    components = monitor["spec"]["selector"]["matchExpressions"][0]["values"]
    for _, pod in pods(objects):
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] in components:
            names = [port["name"] for c in pod["spec"]["containers"] for port in c["ports"]]
            assert "metrics" in names


def test_metrics_are_not_on_the_public_service() -> None:
    service = named(render(EVERYTHING), "Service", "sizeup-gateway")
    assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_ports_are_those_the_processes_listen_on(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            variables = environment(container)
            for variable, port in variables.items():
                if ports and variable.endswith("_METRICS_PORT"):
                    assert ports["metrics"] == int(port), name
                elif ports and variable.endswith("_PORT"):
                    assert ports["http"] == int(port), name


def test_nothing_of_the_prometheus_operator_is_made_unless_asked_for() -> None:
    custom = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert of_kind(render(VARIANTS["kind"]), *custom) == []
