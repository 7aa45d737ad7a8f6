"""Dashboards and alerts ask for metrics that exist, by labels that they have."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram

from chart import queries
from chart.rendering import (
    CHART,
    EVERYTHING,
    VARIANTS,
    Json,
    RefusedError,
    containers,
    environment,
    named,
    of_kind,
    over,
    pods,
    render,
)
from sizeup.hub.metrics import PullMetrics
from sizeup.hub.progress import PullProgress
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.model_metrics import ModelCollector
from sizeup_gateway.observability.metrics import Metrics
from sizeup_inference.engine.protocol import EngineStats
from sizeup_inference.metrics import InferenceMetrics
from sizeup_wire.catalog import Catalog, CatalogEntry

ADDED = {"namespace", "pod", "size"}
"""Labels that Prometheus and the PodMonitor add to every series."""

FOREIGN = {"kube_job_failed": {"namespace", "job_name", "condition"}}
"""Of kube-state-metrics."""


@cache
def registries() -> tuple[CollectorRegistry, ...]:
    """Return everything the services measure, by process."""
    gateway, inference, pull = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    Metrics.register(gateway)
    catalog = Catalog(models={"toy": CatalogEntry(id="sizeup/toy", names=("toy",))})
    gateway.register(ModelCollector(Models(catalog)))
    InferenceMetrics(inference, "toy").watch(lambda: EngineStats(*[0] * 10))
    pull.register(PullMetrics("toy", PullProgress()))
    return gateway, inference, pull


@cache
def declared() -> dict[str, set[str]]:
    """Return the labels of every series there is, by its name."""
    ours = {name: labels | ADDED for r in registries() for name, labels in series(r)}
    return {**ours, **FOREIGN}


@cache
def largest_buckets() -> dict[str, float]:
    """Return the largest finite bucket of every histogram, by the name of its series."""
    collectors = {c: n for r in registries() for c, n in r._collector_to_names.items()}
    return {
        f"{names[0]}_bucket": collector._upper_bounds[-2]
        for collector, names in collectors.items()
        if isinstance(collector, Histogram)
    }


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


def rules(values: Mapping[str, Any] = EVERYTHING) -> list[Json]:
    """Return every alert."""
    (rule,) = of_kind(render(values), "PrometheusRule")
    return [one for group in rule["spec"]["groups"] for one in group["rules"]]


QUERIES = [*dashboards(), *((f"alert {one['alert']}", one["expr"]) for one in rules())]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_a_query_is_about_series_and_labels_that_exist(where: str, query: str) -> None:
    tree = queries.parse(query)
    assert queries.series_of(tree)
    queries.labels_of(tree, declared())


@pytest.mark.parametrize(
    "wrong",
    [
        "sizeup_gateway_requests_in_flight{model=}",
        "rate(sizeup_gateway_requests_in_flight)",
        "sizeup_gateway_inflight",
        'sizeup_gateway_requests_in_flight{state="ready"}',
        "sum by (state) (sizeup_gateway_requests_in_flight)",
        "sum by (model) (sizeup_gateway_requests_in_flight)"
        " / on (pod) sizeup_gateway_requests_in_flight",
        "histogram_quantile(0.5, "
        "sum by (model) (rate(sizeup_gateway_queue_duration_seconds_bucket[5m])))",
    ],
)
def test_a_wrong_query_would_be_found(wrong: str) -> None:
    with pytest.raises((ValueError, queries.QueryError)):
        queries.labels_of(queries.parse(wrong), declared())


def test_an_alert_names_labels_that_its_query_leaves() -> None:
    for alert in rules():
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(alert["annotations"])))
        assert said <= queries.labels_of(queries.parse(alert["expr"]), declared()), alert["alert"]


def test_a_threshold_of_a_quantile_can_be_exceeded() -> None:
    """A quantile is never more than the largest finite bucket."""
    found = [pair for _, query in QUERIES for pair in queries.thresholds(queries.parse(query))]
    assert len(found) == 2
    for name, number in found:
        assert number < largest_buckets()[name], name
    schema = json.loads((CHART / "values.schema.json").read_text())
    rule = schema["properties"]["monitoring"]["properties"]["prometheusRule"]["properties"]
    for value, series in (
        ("firstTokenSeconds", "time_to_first_token"),
        ("coldStartSeconds", "queue_duration"),
    ):
        largest = largest_buckets()[f"sizeup_gateway_{series}_seconds_bucket"]
        assert rule[value]["exclusiveMaximum"] == largest


def cold_start(seconds: int, held: int) -> float:
    """Return the threshold of SizeupColdStartSlow."""
    more = {"monitoring": {"prometheusRule": {"coldStartSeconds": seconds}}}
    found = rules(over(over(EVERYTHING, more), {"gateway": {"activation": {"seconds": held}}}))
    (query,) = [rule["expr"] for rule in found if rule["alert"] == "SizeupColdStartSlow"]
    ((_, number),) = queries.thresholds(queries.parse(query))
    return number


@pytest.mark.parametrize(
    ("seconds", "held", "threshold"),
    [(0, 600, 300), (0, 1800, 900), (0, 86400, 1800), (0, 1, 0.5), (599, 600, 599)],
)
def test_a_slow_start_is_told_while_people_still_wait(
    seconds: int, held: int, threshold: float
) -> None:
    """Nobody is held longer than activation.seconds."""
    assert cold_start(seconds, held) == threshold


def test_a_start_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(RefusedError, match="coldStartSeconds is 600 and nobody waits longer"):
        cold_start(600, 600)


def test_alerts_about_downloads_are_there_where_somebody_scrapes_them() -> None:
    asked = {rule["alert"] for rule in rules()}
    unasked = rules(over(EVERYTHING, {"monitoring": {"podMonitor": {"enabled": False}}}))
    silent = {"SizeupDownloadFails", "SizeupDownloadStalled"}
    assert asked - {rule["alert"] for rule in unasked} == silent
    for rule in unasked:
        assert "sizeup_pull" not in rule["expr"]


def test_alerts_about_downloads_are_about_this_release_alone() -> None:
    (expression,) = [r["expr"] for r in rules() if r["alert"] == "SizeupDownloadGivenUp"]
    assert 'namespace="models", job_name=~"sizeup-pull-.+"' in expression


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
