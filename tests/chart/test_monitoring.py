"""Dashboards and alerts query metrics that the services export, with the labels they have."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram

from chart import promql
from chart.rendering import (
    CHART,
    EVERYTHING,
    VARIANTS,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    of_kind,
    pods,
    render,
)
from sizeup.pull.metrics import PullMetrics
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.model_metrics import ModelCollector
from sizeup_gateway.observability.metrics import Metrics
from sizeup_inference.engine.protocol import EngineStats
from sizeup_inference.metrics import InferenceMetrics
from sizeup_store.pull_report import PullProgress
from sizeup_wire.catalog import Catalog, CatalogEntry

ADDED = {"namespace", "pod", "size"}
"""Labels that Prometheus and the PodMonitor add to every series."""

FOREIGN = {"kube_job_failed": {"namespace", "job_name", "condition"}}
"""Series of kube-state-metrics."""


@cache
def registries() -> tuple[CollectorRegistry, ...]:
    """Return the registries of gateway, inference and download."""
    gateway, inference, pull = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    Metrics(gateway)
    catalog = Catalog(models={"toy": CatalogEntry(id="sizeup/toy", names=("toy",))})
    gateway.register(ModelCollector(Models(catalog)))
    InferenceMetrics(inference, "toy").watch(lambda: EngineStats(*[0] * len(fields(EngineStats))))
    pull.register(PullMetrics("toy", PullProgress()))
    return gateway, inference, pull


@cache
def declared() -> dict[str, set[str]]:
    """Return the labels of every exported series, by name."""
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
    """Yield the series of each metric family with their labels."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    for collector in list(registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            known = labels.union(*(sample.labels for sample in family.samples))
            for suffix in suffixes[family.type]:
                yield family.name + suffix, known | ({"le"} if suffix == "_bucket" else set())


def dashboards() -> Iterator[tuple[str, str]]:
    """Yield title and query of every dashboard panel and variable."""
    for file in sorted((CHART / "files" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"][1:]:
            yield f"{file.stem}: ${variable['name']}", variable["query"]["query"]


def rules(values: Mapping[str, Any] = EVERYTHING) -> list[Json]:
    """Return all alerting rules."""
    (rule,) = of_kind(render(values), "PrometheusRule")
    return [one for group in rule["spec"]["groups"] for one in group["rules"]]


QUERIES = [*dashboards(), *((f"alert {one['alert']}", one["expr"]) for one in rules())]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_query_uses_exported_series_and_labels(where: str, query: str) -> None:
    tree = promql.parse(query)
    assert promql.series_of(tree)
    promql.labels_of(tree, declared())


@pytest.mark.parametrize(
    "wrong",
    [
        "sizeup_gateway_requests_in_flight{model=}",
        "rate(sizeup_gateway_requests_in_flight)",
        "sizeup_gateway_requests_inflight",
        'sizeup_gateway_requests_in_flight{state="ready"}',
        "sum by (state) (sizeup_gateway_requests_in_flight)",
        "sum by (model) (sizeup_gateway_requests_in_flight)"
        " / on (pod) sizeup_gateway_requests_in_flight",
        "histogram_quantile("
        "0.5, sum by (model) (rate(sizeup_gateway_queue_duration_seconds_bucket[5m])))",
    ],
)
def test_invalid_query_is_detected(wrong: str) -> None:
    with pytest.raises((ValueError, promql.QueryError)):
        promql.labels_of(promql.parse(wrong), declared())


def test_annotations_use_labels_of_the_query_result() -> None:
    for alert in rules():
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(alert["annotations"])))
        assert used <= promql.labels_of(promql.parse(alert["expr"]), declared()), alert["alert"]


def test_quantile_thresholds_are_below_the_largest_bucket() -> None:
    """histogram_quantile never exceeds the largest finite bucket."""
    found = [pair for _, query in QUERIES for pair in promql.thresholds(promql.parse(query))]
    assert len(found) == 2
    for name, number in found:
        assert number < largest_buckets()[name], name
    schema = json.loads((CHART / "values.schema.json").read_text())
    rule = schema["properties"]["monitoring"]["properties"]["prometheusRule"]["properties"]
    for value, series in (
        ("timeToFirstTokenSeconds", "time_to_first_token"),
        ("coldStartSeconds", "queue_duration"),
    ):
        largest = largest_buckets()[f"sizeup_gateway_{series}_seconds_bucket"]
        assert rule[value]["exclusiveMaximum"] == largest


def cold_start(seconds: int, longest: int) -> float:
    """Return the threshold of SizeupColdStartSlow."""
    more = {"monitoring": {"prometheusRule": {"coldStartSeconds": seconds}}}
    found = rules(merge(merge(EVERYTHING, more), {"gateway": {"activation": {"seconds": longest}}}))
    (query,) = [rule["expr"] for rule in found if rule["alert"] == "SizeupColdStartSlow"]
    ((_, number),) = promql.thresholds(promql.parse(query))
    return number


@pytest.mark.parametrize(
    ("seconds", "longest", "threshold"),
    [(0, 600, 300), (0, 1800, 900), (0, 86400, 1800), (0, 1, 0.5), (599, 600, 599)],
)
def test_cold_start_alert_fires_before_requests_time_out(
    seconds: int, longest: int, threshold: float
) -> None:
    """Requests leave the activation queue after at most activation.seconds."""
    assert cold_start(seconds, longest) == threshold


def test_cold_start_threshold_beyond_the_queue_timeout_is_rejected() -> None:
    with pytest.raises(RenderError, match=r"prometheusRule\.coldStartSeconds=600"):
        cold_start(600, 600)


def test_download_alerts_require_the_pod_monitor() -> None:
    scraped = {rule["alert"] for rule in rules()}
    unscraped = rules(merge(EVERYTHING, {"monitoring": {"podMonitor": {"enabled": False}}}))
    downloads = {"SizeupDownloadRetrying", "SizeupDownloadStalled"}
    assert scraped - {rule["alert"] for rule in unscraped} == downloads
    for rule in unscraped:
        assert "sizeup_pull" not in rule["expr"]


def test_download_alerts_select_this_release_only() -> None:
    (expression,) = [r["expr"] for r in rules() if r["alert"] == "SizeupDownloadJobFailed"]
    assert 'namespace="models", job_name=~"sizeup-pull-.+"' in expression


def test_dashboards_carry_the_label_of_the_grafana_sidecar() -> None:
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


def test_monitors_select_objects_with_a_metrics_port() -> None:
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


def test_public_service_does_not_expose_metrics() -> None:
    service = named(render(EVERYTHING), "Service", "sizeup-gateway")
    assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


def backends(objects: list[Json]) -> Iterator[Json]:
    """Yield the backends of every Ingress and HTTPRoute, as {name, port}."""
    for ingress in of_kind(objects, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            services = [path["backend"]["service"] for path in rule["http"]["paths"]]
            yield from ({"name": s["name"], "port": s["port"]["name"]} for s in services)
    for route in of_kind(objects, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            yield from rule["backendRefs"]


def test_what_is_public_leads_to_a_port_without_metrics() -> None:
    objects = render(EVERYTHING)
    found = list(backends(objects))
    assert len(found) == 2
    for backend in found:
        ports = named(objects, "Service", backend["name"])["spec"]["ports"]
        [target] = [p["targetPort"] for p in ports if backend["port"] in (p["name"], p["port"])]
        assert target == "http"


@pytest.mark.parametrize("variant", VARIANTS)
def test_metrics_have_a_port_of_their_own(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            variables = environment(container)
            service = {"gateway": "GATEWAY", "inference": "INFERENCE"}.get(container["name"])
            if service:
                own = variables[f"SIZEUP_{service}_METRICS_PORT"]
                assert own != variables[f"SIZEUP_{service}_PORT"], name


@pytest.mark.parametrize("variant", VARIANTS)
def test_container_ports_match_the_listen_ports(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            variables = environment(container)
            for variable, port in variables.items():
                if ports and variable.endswith("_METRICS_PORT"):
                    assert ports["metrics"] == int(port), name
                elif ports and variable.endswith("_PORT"):
                    assert ports["http"] == int(port), name


def test_prometheus_operator_objects_are_opt_in() -> None:
    custom = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert of_kind(render(VARIANTS["kind"]), *custom) == []
