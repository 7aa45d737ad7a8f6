"""Every metric of the gateway. Labels come from the catalogue and from closed sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sizeup_gateway.model_state import ModelState
from sizeup_gateway.models.catalog import Models
from sizeup_telemetry.buckets import (
    END_TO_END_SECONDS,
    INTER_TOKEN_SECONDS,
    QUEUE_SECONDS,
    TIME_TO_FIRST_TOKEN_SECONDS,
)

UNKNOWN_MODEL = "unknown"
"""Stands for every name the catalogue does not know: strangers must not make series."""

_PREFIX = "sizeup_gateway_"


@dataclass(frozen=True, slots=True)
class Metrics:
    """The gateway's metrics, registered once."""

    requests: Counter
    in_flight: Gauge
    time_to_first_token: Histogram
    inter_token: Histogram
    request_seconds: Histogram
    prompt_tokens: Counter
    completion_tokens: Counter
    upstream_retries: Counter
    held: Gauge
    hold_seconds: Histogram
    activations: Counter
    catalog_reloads: Counter
    catalog_refused: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Make the metrics in a registry."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(_PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(_PREFIX + name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(_PREFIX + name, text, ["model"], registry=registry, buckets=buckets)

        return cls(
            counter("requests_total", "Requests answered", "model", "route", "outcome"),
            gauge("in_flight", "Requests being answered", "model"),
            histogram(
                "time_to_first_token_seconds",
                "From the request's arrival to its first token",
                TIME_TO_FIRST_TOKEN_SECONDS,
            ),
            histogram(
                "inter_token_seconds", "Between two tokens of one choice", INTER_TOKEN_SECONDS
            ),
            histogram(
                "request_seconds",
                "From the request's arrival to its end, of finished requests",
                END_TO_END_SECONDS,
            ),
            counter("prompt_tokens_total", "Prompt tokens of finished requests", "model"),
            counter("completion_tokens_total", "Tokens generated for finished requests", "model"),
            counter("upstream_retries_total", "Requests given to a second replica", "model"),
            gauge("held_requests", "Requests held until their model is there", "model"),
            histogram(
                "hold_seconds",
                "How long a request was held, whether it was answered or not",
                QUEUE_SECONDS,
            ),
            counter("activations_total", "Tries to scale a model from zero", "model", "outcome"),
            counter("catalog_reloads_total", "Changes of the catalogue file", "outcome"),
            gauge("catalog_refused", "1 while the catalogue file cannot be used as it is"),
        )


class ModelCollector(Collector):
    """Report the models of the catalogue as it is when the metrics are read."""

    def __init__(self, models: Models) -> None:
        """Report these models."""
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is known of each model."""
        ready = _family("replicas_ready", "Replicas that take requests")
        states = _family("model_state", "1 for the state a model is in", "state")
        for key, model in self._models.by_key.items():
            ready.add_metric([key], model.pool.ready_count)
            for state in ModelState:
                states.add_metric([key, state], float(model.state is state))
        yield from (ready, states)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, labels=["model", *labels])
