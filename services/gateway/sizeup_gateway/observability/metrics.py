"""The gateway's request metrics. Label values come from the catalog and from closed sets."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sizeup_telemetry.buckets import (
    END_TO_END_SECONDS,
    INTER_TOKEN_SECONDS,
    QUEUE_SECONDS,
    TIME_TO_FIRST_TOKEN_SECONDS,
)

UNKNOWN_MODEL = "unknown"
"""Label of every name that is not in the catalog: clients must not create time series."""

SEVERAL_MODELS = "several"
"""Label of a comparison as a whole; its answers count under their own models."""

PREFIX = "sizeup_gateway_"


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics, registered once per process."""

    requests: Counter
    requests_in_flight: Gauge
    time_to_first_token: Histogram
    inter_token_latency: Histogram
    request_duration: Histogram
    prompt_tokens: Counter
    completion_tokens: Counter
    upstream_retries: Counter
    virtual_names: Counter
    fallbacks: Counter
    requests_queued: Gauge
    queue_duration: Histogram
    activations: Counter
    catalog_reloads: Counter
    catalog_invalid: Gauge
    api_key_requests: Counter
    api_key_tokens: Counter
    api_keys_invalid: Gauge
    created_models: Gauge
    created_models_unreadable: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(PREFIX + name, text, ["model"], registry=registry, buckets=buckets)

        return cls(
            counter("requests_total", "Finished requests", "model", "route", "outcome"),
            gauge("requests_in_flight", "Requests being processed", "model"),
            histogram(
                "time_to_first_token_seconds",
                "Time from the arrival of the request to the first token",
                TIME_TO_FIRST_TOKEN_SECONDS,
            ),
            histogram(
                "inter_token_latency_seconds",
                "Time between two tokens of one choice",
                INTER_TOKEN_SECONDS,
            ),
            histogram(
                "request_duration_seconds",
                "Time from the arrival to the end of requests that ran to completion",
                END_TO_END_SECONDS,
            ),
            counter("prompt_tokens_total", "Prompt tokens of completed requests", "model"),
            counter("completion_tokens_total", "Generated tokens of completed requests", "model"),
            counter("upstream_retries_total", "Requests retried on a second replica", "model"),
            counter("virtual_names_total", "Requests by a virtual name", "tag", "model"),
            counter(
                "fallbacks_total",
                "Requests that a smaller size served",
                "model",
                "instead_of",
            ),
            gauge("requests_queued", "Requests queued for a model that is starting", "model"),
            histogram(
                "queue_duration_seconds",
                "Time requests were queued for a model that was starting, failed ones included",
                QUEUE_SECONDS,
            ),
            counter("activations_total", "Attempts to scale a model from zero", "model", "outcome"),
            counter("catalog_reloads_total", "Reloads of the catalog file", "outcome"),
            gauge("catalog_invalid", "1 while the catalog file is invalid"),
            counter(
                "api_key_requests_total",
                "Finished requests with API keys that have a name",
                "api_key_name",
                "outcome",
            ),
            counter(
                "api_key_tokens_total",
                "Tokens of prompts and outputs, as for its limit",
                "api_key_name",
            ),
            gauge("api_keys_invalid", "1 while the changed file of API keys is invalid"),
            gauge("created_models", "Models that users have created"),
            gauge("created_models_unreadable", "1 while the created models cannot be read"),
        )
