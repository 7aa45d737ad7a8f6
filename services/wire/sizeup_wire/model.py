"""`GET /internal/v1/{model,stats}`, `POST /internal/v1/{tokenize,keep_alive}`."""

from pydantic import ConfigDict

from sizeup_wire.generate import Prompt, Sampling
from sizeup_wire.message import RequestModel, ResponseModel


class SamplingDefaults(Sampling):
    """A model's own sampling values, as part of a response."""

    model_config = ConfigDict(extra="ignore")


class FastPath(ResponseModel):
    """A way of computing a step that is faster than the plain one, with the same result."""

    name: str
    enabled: bool
    reason: str = ""
    """Why it is not enabled."""


class ModelInfo(ResponseModel):
    """The model of a process.

    While it loads, described by its files: what loading decides is 0 or empty, `dtype` and
    `context_length` are what the settings ask for. From then on constant.
    """

    id: str
    """Hugging Face id, or the folder's name for a local model."""
    revision: str | None
    architecture: str
    """model_type of config.json: qwen2, qwen3, ..."""
    parameters: int
    weight_bytes: int
    memory_bytes: int = 0
    """Memory taken by loading: the weights, and on accelerators the KV cache; on a CPU the KV cache
    takes memory as it fills. 0 is unknown."""
    device_bytes: int
    """The part of memory_bytes on accelerators; 0 on a CPU."""
    dtype: str
    """Computed in."""
    stored_as: str = ""
    """The weights on disk: BF16, F16, F32, or method and bits of a quantized model, such as
    GPTQ-INT4. Empty is unknown."""
    device: str
    tensor_parallel: int = 1
    """GPUs, or processes on a CPU, that compute each step together."""
    kernels: str = ""
    """What computes a step: transformers, varlen_attn on a GPU, or compiled kernels: amx,
    avx512_bf16 or portable."""
    fast_paths: tuple[FastPath, ...] = ()
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_dim: int = 0
    """0 is unknown."""
    vocab_size: int
    longest_token: int = 0
    """Bytes of the longest token: a text of more has several. 0 is unknown."""
    rms_norm_eps: float | None = None
    rope_theta: float | None
    context_length: int
    """Maximum tokens of prompt and output together."""
    template: str
    """The chat template's text; empty for a base model without one."""
    capabilities: tuple[str, ...]
    """Of completion, tools, thinking, insert; only embedding for a model that is made for it."""
    license: str
    """Text of the LICENSE file beside the weights; empty if there is none."""
    digest: str
    """64 hex digits that change with the weights or their configuration."""
    modified_at: float
    """Unix time of the weights on disk."""
    eos_token_ids: tuple[int, ...]
    sampling: SamplingDefaults
    """Defaults from generation_config.json."""
    load_ns: int
    """How long loading and warming up took."""
    max_requests: int | None = None
    """Sequences that the process accepts, running and waiting; None is unknown."""


class Stats(ResponseModel):
    """A snapshot of a process."""

    running: int
    waiting: int
    pages_used: int
    pages_total: int
    max_waiting: int
    steps: int
    prompt_tokens: int
    """Since start, like completion_tokens."""
    completion_tokens: int
    idle: bool
    """No request is running, waiting or being tokenized."""
    expires_at: float | None
    """Unix time from which an idle model may be unloaded; None means never. Counted from the end of
    the last request, so it advances while a request runs."""
    now: float
    """The process's own clock, to compare expires_at with: clocks of hosts differ."""


class TokenizeRequest(RequestModel):
    """Tokenize a prompt exactly as generate does."""

    prompt: Prompt


class TokenizeResponse(ResponseModel):
    """Token ids, and the rendered text of a chat prompt."""

    token_ids: tuple[int, ...]
    rendered: str | None = None


class KeepAliveRequest(RequestModel):
    """Set how long the model stays loaded; counts as a use of it."""

    keep_alive_seconds: float | None
    """As in GenerateRequest."""


class KeepAliveResponse(ResponseModel):
    """When the model may be unloaded, as in Stats."""

    expires_at: float | None
