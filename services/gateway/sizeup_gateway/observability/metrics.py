"""The gateway's request metrics. Label values come from the catalog and from closed sets."""

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


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(PREFIX + name, text, ["model"], registry=registry, buckets=buckets)

        self.requests = counter("requests_total", "Finished requests", "model", "route", "outcome")
        self.requests_in_flight = gauge("requests_in_flight", "Requests being processed", "model")
        self.time_to_first_token = histogram(
            "time_to_first_token_seconds",
            "Time from the arrival of the request to the first token",
            TIME_TO_FIRST_TOKEN_SECONDS,
        )
        self.inter_token_latency = histogram(
            "inter_token_latency_seconds",
            "Time between two tokens of one choice",
            INTER_TOKEN_SECONDS,
        )
        self.request_duration = histogram(
            "request_duration_seconds",
            "Time from the arrival to the end of requests that ran to completion",
            END_TO_END_SECONDS,
        )
        self.prompt_tokens = counter(
            "prompt_tokens_total", "Prompt tokens of completed requests", "model"
        )
        self.completion_tokens = counter(
            "completion_tokens_total", "Generated tokens of completed requests", "model"
        )
        self.upstream_retries = counter(
            "upstream_retries_total", "Requests retried on a second replica", "model"
        )
        self.virtual_names = counter(
            "virtual_names_total", "Requests by a virtual name", "tag", "model"
        )
        self.fallbacks = counter(
            "fallbacks_total", "Requests that a smaller size served", "model", "instead_of"
        )
        self.requests_queued = gauge(
            "requests_queued", "Requests queued for a model that is starting", "model"
        )
        self.queue_duration = histogram(
            "queue_duration_seconds",
            "Time requests were queued for a model that was starting, failed ones included",
            QUEUE_SECONDS,
        )
        self.activations = counter(
            "activations_total", "Attempts to scale a model from zero", "model", "outcome"
        )
        self.catalog_reloads = counter(
            "catalog_reloads_total", "Reloads of the catalog file", "outcome"
        )
        self.catalog_invalid = gauge("catalog_invalid", "1 while the catalog file is invalid")
        self.api_key_requests = counter(
            "api_key_requests_total",
            "Finished requests with API keys that have a name",
            "api_key_name",
            "outcome",
        )
        self.api_key_tokens = counter(
            "api_key_tokens_total",
            "Tokens of prompts and outputs, as for its limit",
            "api_key_name",
        )
        self.api_keys_invalid = gauge(
            "api_keys_invalid", "1 while the changed file of API keys is invalid"
        )
        self.created_models = gauge("created_models", "Models that users have created")
        self.created_models_unreadable = gauge(
            "created_models_unreadable", "1 while the created models cannot be read"
        )
