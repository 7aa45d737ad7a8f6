"""Settings of an inference process, from the environment variables SIZEUP_INFERENCE_*."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sizeup_store.settings import HubCacheSettings


class OpenMPSettings(BaseSettings):
    """Settings that apply when torch is imported."""

    omp_wait_policy: str = Field(
        "PASSIVE",
        validation_alias="OMP_WAIT_POLICY",
        description="how the CPU threads of a step wait for one another: PASSIVE sleeps; ACTIVE "
        "spins, which stalls every process when several share the cores",
    )


class Settings(OpenMPSettings, HubCacheSettings):
    model_config = SettingsConfigDict(env_prefix="SIZEUP_INFERENCE_", frozen=True)

    model: str = Field(description="folder of a Hugging Face model, or an id in the local cache")
    model_id: str | None = Field(None, description="id to report; default: the id or folder name")
    revision: str | None = Field(None, description="commit or branch of the cached id")
    await_download: bool = Field(
        True,
        description="the init container waits for `sizeup pull` of a cached id; false: another "
        "tool fills the cache, and what is missing is an error",
    )
    draft_model: str | None = Field(
        None,
        description="smaller model of the same vocabulary that drafts tokens for this one, like "
        "`model`; switched off by itself where it does not pay; default: none",
    )
    draft_revision: str | None = Field(None, description="commit or branch of draft_model")
    engine: Literal["transformers", "fake"] = Field(
        "transformers", description="fake: predictable tokens at a fixed rate, without torch"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port of the internal API")
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port of /metrics, which is then not on `port`; default: `port`",
    )
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="time for running requests to finish after SIGTERM"
    )
    keep_alive_seconds: float | None = Field(
        None,
        allow_inf_nan=False,
        description="time until an idle model may be scaled to zero, unless a request sets "
        "another; default: unlimited",
    )
    api_docs: bool = Field(True, description="serve /openapi.json and /docs")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    device: str = Field(
        "auto",
        description="auto (one GPU, several through accelerate, else CPU), cpu, cuda, cuda:1",
    )
    tensor_parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="GPUs, or processes on a CPU, that compute each step together, each with its "
        "part of the weights and of the KV cache; it must divide the model's heads",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: that of the model's config"
    )
    quantization: Literal["int8", "int4"] | None = Field(
        None,
        description="quantize the weights on load to 8 or 4 bits, activations stay in `dtype`; "
        "default: as they are",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads of a step, in each process of tensor_parallel; default: the "
        "available cores, or 1 for a model of less than 20 million parameters",
    )
    compiled_kernels: bool = Field(
        True,
        description="compute Llama, Qwen2 and Qwen3 models on CPUs with compiled kernels instead "
        "of transformers' modules",
    )
    max_model_len: int | None = Field(
        None, ge=2, description="tokens of prompt and output; default: that of the model's config"
    )
    max_num_seqs: int = Field(
        256, ge=1, le=4096, description="limit of sequences in a step: 200 streams with a margin"
    )
    max_num_batched_tokens: int = Field(
        512,
        ge=1,
        description="limit of tokens in a step; beside decoding sequences a prefill gets fewer",
    )
    enable_prefix_caching: bool = Field(
        True, description="reuse the KV cache of common prefixes of prompts"
    )
    max_waiting: int = Field(
        512,
        ge=0,
        le=65536,
        description="limit of sequences in the waiting queue; further ones are rejected (busy), "
        "and an eighth of all is reserved for clients with less than an equal share",
    )
    kv_cache_bytes: int | None = Field(
        None, ge=1, description="size of the KV cache; default: a share of the available memory"
    )

    gpu_memory_bytes: int | None = Field(
        None,
        ge=1,
        description="memory of each GPU that the process may use, so that several share one; "
        "default: all that is free",
    )

    stalled_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="time without a finished step after which an engine with work is unready: "
        "twice the slowest step, 512 tokens of a 72B model on a CPU",
    )
    lost_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="time for a stalled engine to recover, after which the process exits with 1 "
        "for its supervisor to restart it",
    )

    fake_token_seconds: float = Field(
        0.02, ge=0, le=60, description="seconds per token of the fake engine"
    )
