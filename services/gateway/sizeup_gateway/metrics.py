"""Every metric of the gateway. Labels come from the catalogue and from closed sets."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sizeup_gateway.pool import Pool
from sizeup_telemetry.buckets import (
    END_TO_END_SECONDS,
    INTER_TOKEN_SECONDS,
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
    replicas_ready: Gauge

    def follow_pool(self, key: str, pool: Pool) -> None:
        """Report how many replicas of a model are ready whenever the metrics are read."""
        self.replicas_ready.labels(key).set_function(lambda: pool.ready_count)

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Make the metrics in a registry."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(_PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(_PREFIX + name, text, ["model"], registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(_PREFIX + name, text, ["model"], registry=registry, buckets=buckets)

        return cls(
            counter("requests_total", "Requests answered", "model", "route", "outcome"),
            gauge("in_flight", "Requests being answered"),
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
            gauge("replicas_ready", "Replicas that take requests"),
        )
