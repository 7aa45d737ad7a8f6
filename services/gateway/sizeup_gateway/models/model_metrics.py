"""Metrics of the models in the catalog, read when Prometheus scrapes."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sizeup_gateway.model_state import ModelState
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.observability.metrics import PREFIX


class ModelCollector(Collector):
    """Readiness and state of every model that is in the catalog at the time of the scrape."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ready = _gauge("replicas_ready", "Replicas that accept requests")
        states = _gauge("model_state", "1 for the state the model is in", "state")
        current = _gauge("autoscaler_current_replicas", "Scale of the Deployment")
        desired = _gauge(
            "autoscaler_desired_replicas",
            "Replicas that the load requires, from minReplicas to maxReplicas",
        )
        for key, model in self._models.by_key.items():
            ready.add_metric([key], model.pool.ready_count)
            for state in ModelState:
                states.add_metric([key, state], float(model.state is state))
            if model.entry.autoscaling is not None:
                _add_known(current, key, model.desired_replicas)
                _add_known(desired, key, model.recommended_replicas)
        yield from (ready, states, current, desired)


def _add_known(gauge: GaugeMetricFamily, key: str, replicas: int | None) -> None:
    if replicas is not None:
        gauge.add_metric([key], replicas)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=["model", *labels])
