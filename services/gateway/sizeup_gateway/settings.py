"""Settings of the gateway, from SIZEUP_GATEWAY_* variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything a deployment decides about the gateway."""

    model_config = SettingsConfigDict(env_prefix="SIZEUP_GATEWAY_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(11434, ge=0, le=65535, description="port of both public APIs; Ollama's own")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="port that serves /metrics alone; none by default"
    )
    catalog: Path = Field(description="YAML file with the models and their replicas")
    api_keys_file: Path | None = Field(
        None, description="file with one accepted API key per line; without it everybody is served"
    )
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="time running answers get after SIGTERM"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")
    stream_default: Literal["auto", "ollama", "seed"] = Field(
        "auto",
        description="/api/chat without `stream`: ollama streams, seed sends one object, "
        "auto sends one object for Hugging Face ids and streams for other names",
    )

    max_body_bytes: int = Field(
        20 * 2**20, ge=1024, le=2**30, description="size limit of a request body"
    )
    max_bodies_bytes: int = Field(
        512 * 2**20,
        ge=1024,
        le=2**40,
        description="bytes of all bodies that are arriving at one time; more are refused (busy)",
    )
    body_seconds: float = Field(30.0, gt=0, le=3600, description="time limit for sending a body")
    max_in_flight: int = Field(
        2048, ge=1, le=65536, description="requests at one time; more are refused (busy)"
    )
    max_reply_bytes: int = Field(
        64 * 2**20,  # 64 prompts of 2,048 tokens, each with the likeliest one, are 9 MB
        ge=1024,
        le=2**40,
        description="size limit of a reply in one piece; a stream has none",
    )
    max_replies_bytes: int = Field(
        256 * 2**20,
        ge=1024,
        le=2**40,
        description="bytes of all large replies that are gathered or sent in one piece at one "
        "time; more are refused (busy)",
    )
    connect_seconds: float = Field(
        5.0, gt=0, le=300, description="time limit for connecting to a replica"
    )
    first_event_seconds: float = Field(
        300.0,
        gt=0,
        le=86400,
        description="time limit for leaving the replica's queue, and again for the first token",
    )
    between_events_seconds: float = Field(
        300.0, gt=0, le=86400, description="time limit between two tokens of one answer"
    )
    total_seconds: float = Field(
        1800.0,
        gt=0,
        le=86400,
        description="time limit of a whole request; on a cluster activation_seconds come on top, "
        "for the time it may be held while its model starts",
    )
    write_timeout_seconds: float = Field(
        60.0, gt=0, le=3600, description="time after which a reader that stopped reading is cut"
    )
    probe_interval_seconds: float = Field(
        1.0, gt=0, le=60, description="pause between two readiness probes of a replica"
    )
    probe_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="time limit of one probe; two in a row take a replica out"
    )

    discovery: Literal["static", "kubernetes"] = Field(
        "static", description="where replicas are found: the catalogue, or EndpointSlices as well"
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
    catalog_poll_seconds: float = Field(
        2.0, gt=0, le=3600, description="pause between two looks at the catalogue file"
    )
    activation_queue: int = Field(
        100,
        ge=1,
        le=65536,
        description="requests held for one model while it is scaled from zero; more are refused",
    )
    activation_seconds: float = Field(
        600.0, gt=0, le=86400, description="how long such a request is held, at most"
    )
