"""Settings of an inference process, from SIZEUP_INFERENCE_* variables."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from sizeup_store.settings import HubCacheSettings


class Settings(HubCacheSettings):
    """Everything a deployment decides about one model's process."""

    model_config = SettingsConfigDict(env_prefix="SIZEUP_INFERENCE_", frozen=True)

    model: str = Field(description="folder with a Hugging Face model, or an id in the local cache")
    model_id: str | None = Field(None, description="id to report; default: the id, or folder name")
    revision: str | None = Field(None, description="commit or branch of the cached id")
    engine: Literal["transformers", "fake"] = Field(
        "transformers", description="fake: known tokens at a known pace, without torch"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port of the internal API")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="port that serves /metrics alone; none by default"
    )
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="time running answers get after SIGTERM"
    )
    keep_alive_seconds: float | None = Field(
        None,
        allow_inf_nan=False,
        description="time the model stays after its last answer, for who scales it to zero; a "
        "request may say otherwise; default: for ever",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    device: str = Field(
        "auto",
        description="auto (one GPU, several through accelerate, else CPU), cpu, cuda, cuda:1",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: as the model's config says"
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads of one step; default: the cores available, "
        "and one for a model of less than 20 million parameters",
    )
    max_model_len: int | None = Field(
        None, ge=2, description="tokens of prompt and answer; default: as the model's config says"
    )
    max_num_seqs: int = Field(
        256, ge=1, le=4096, description="sequences in one step: 200 streams and room to spare"
    )
    max_num_batched_tokens: int = Field(
        512,
        ge=1,
        description="tokens in one step: bounds the wait of running streams for a prefill",
    )
    max_waiting: int = Field(
        512, ge=0, le=65536, description="requests that wait for a place; more are refused (busy)"
    )
    kv_cache_bytes: int | None = Field(
        None,
        ge=1,
        description="KV pool; default: a share of the free memory, at most what is usable",
    )

    stalled_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="time without a finished step after which an engine with work counts as "
        "stalled: twice the slowest step in use, 512 tokens of a 72B model on a CPU",
    )
    lost_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="time a stalled engine gets to recover; then the process ends with 1, and "
        "whoever started it starts it again",
    )

    fake_token_seconds: float = Field(
        0.02, ge=0, le=60, description="pace of the fake engine, seconds per token"
    )
