"""Settings of the gateway, from SIZEUP_GATEWAY_* variables."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sizeup_gateway.rate_limits import MAX_RATE

WithinMinute = Annotated[float, Field(gt=0, le=60)]
WithinHour = Annotated[float, Field(gt=0, le=3600)]
WithinDay = Annotated[float, Field(gt=0, le=86400)]
"""Seconds, like the two above."""
Count = Annotated[int, Field(ge=1, le=65536)]
Bytes = Annotated[int, Field(ge=1024, le=2**40)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SIZEUP_GATEWAY_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(
        11434, ge=0, le=65535, description="port of both public APIs; default: Ollama's"
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port of /metrics, which is then not on `port`; default: `port`",
    )
    catalog: Path = Field(description="YAML file with the models and their replicas")
    origins: str = Field(
        "",
        description="comma-separated origins whose web pages may send requests, besides those of "
        "this machine, desktop applications and browser extensions; * stands for any characters, "
        "as in https://*.example.com, and alone allows every origin",
    )
    api_keys_file: Path | None = Field(
        None,
        description="file with one accepted API key per line, which a name and limits of its own "
        "may follow, as in `KEY name=team-a requests_per_minute=60`; keys of one name share its "
        "limits. It is read again when it changes. Without it no key is required",
    )
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        le=MAX_RATE,
        description="limit of the POST requests of each client, which is an API key or else an "
        "address (of IPv6 its /64); a line of api_keys_file may set another. Each gateway process "
        "counts its own",
    )
    tokens_per_minute: int | None = Field(
        None, ge=1, le=MAX_RATE, description="the same for tokens of prompts and outputs"
    )
    concurrent_requests: int | None = Field(
        None, ge=1, le=MAX_RATE, description="the same for requests at one time"
    )
    created_models: Path | None = Field(
        None,
        description="JSON file of the models that users create (/api/create, /api/copy); without "
        "it and created_models_config_map they cannot",
    )
    created_models_config_map: str | None = Field(
        None, description="ConfigMap for them instead, with discovery=kubernetes"
    )
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="time for requests in flight to finish after SIGTERM"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")
    stream_default: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether /api/chat streams if the request leaves `stream` and `Accept` open: "
        "always, never, or auto, which streams unless the model is named by its Hugging Face id",
    )
    fallback: Literal["none", "smaller"] = Field(
        "none",
        description="what serves a request whose model is not ready: none, or the next smaller "
        "size of its family that is; requests override it with X-Sizeup-Fallback",
    )
    api_docs: bool = Field(True, description="serve /openapi.json and /docs")

    max_body_bytes: int = Field(
        20 * 2**20, ge=1024, le=2**30, description="size limit of a request body"
    )
    max_bodies_bytes: Bytes = Field(
        512 * 2**20,
        description="total bytes of bodies being received; further ones are rejected (busy)",
    )
    body_seconds: WithinHour = Field(30.0, description="time limit for receiving a body")
    max_in_flight: Count = Field(
        2048,
        description="limit of concurrent requests; further ones are rejected (busy), and an eighth "
        "is reserved for clients with less than an equal share",
    )
    max_connections: Count = Field(
        8192,
        description="limit of clients' connections, lower where the limit of open files requires "
        "it; at the limit the connection that has been idle for the longest time is closed",
    )
    max_compare_answers: Count = Field(
        256,
        description="limit of concurrent answers of all comparisons together; further comparisons "
        "are rejected (busy)",
    )
    load_test_report: Path | None = Field(
        None,
        description="results.json of a load test, whose figures the comparison shows; read again "
        "when it changes",
    )
    max_response_bytes: Bytes = Field(
        64 * 2**20,  # 64 echoed prompts of 2,048 tokens with top-1 logprobs are 9 MB
        description="size limit of a response that is not streamed",
    )
    max_responses_bytes: Bytes = Field(
        256 * 2**20,
        description="total bytes of large responses that are not streamed; further ones are "
        "rejected (busy)",
    )
    connect_seconds: float = Field(
        5.0, gt=0, le=300, description="time limit for connecting to a replica"
    )
    first_event_seconds: WithinDay = Field(
        300.0, description="time limit in the replica's queue, and again until the first token"
    )
    between_events_seconds: WithinDay = Field(
        300.0, description="time limit between two tokens of a response"
    )
    total_seconds: WithinDay = Field(
        1800.0,
        description="time limit of a whole request, without the time in the queue of a model that "
        "is starting",
    )
    write_timeout_seconds: WithinHour = Field(
        60.0, description="time after which a client that stopped reading is disconnected"
    )
    idle_connection_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="time after which a client's connection without requests is closed; must "
        "exceed that of a load balancer in front (60 s at AWS, 600 s at Google), which otherwise "
        "sends requests into a closing connection",
    )
    probe_interval_seconds: WithinMinute = Field(
        1.0, description="pause between two readiness probes of a replica"
    )
    probe_timeout_seconds: WithinMinute = Field(
        5.0,
        description="time limit of one probe; a replica is not ready after two timeouts in a row",
    )

    discovery: Literal["static", "kubernetes"] = Field(
        "static",
        description="source of replica addresses: the catalog, or EndpointSlices as well",
    )
    namespace: str | None = Field(
        None, description="Kubernetes namespace; that of the service account by default"
    )
    endpoint_selector: str = Field(
        "app.kubernetes.io/component=inference",
        description="label selector of the EndpointSlices of the models' Services",
    )
    kubeconfig_file: Path | None = Field(
        None, description="kubeconfig for the API server; the pod's service account by default"
    )
    scale_socket: Path | None = Field(
        None,
        description="Unix socket of `sizeup up`, which starts and stops the processes of the "
        "models; with discovery=static",
    )
    catalog_poll_seconds: WithinHour = Field(
        2.0,
        description="interval at which the catalog file, api_keys_file and created_models are "
        "checked for changes",
    )
    activation_queue: Count = Field(
        100,
        description="limit of requests queued for one model that is starting; an eighth is "
        "reserved for clients with less than an equal share",
    )
    activation_seconds: WithinDay = Field(
        600.0, description="time limit of a request in that queue"
    )
    queue_while_loading: bool = Field(
        True,
        description="queue the requests for a model that is loading; false rejects them (not "
        "ready) unless a request has activated the model",
    )
