"""Schema of the config file of a run: strict YAML, one field per key.

Unknown keys, duplicate keys and values of the wrong type are errors, all reported together.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from sizeup_loadtest.config import settings
from sizeup_loadtest.config.models import ModelConfig, Target
from sizeup_loadtest.config.section import ConfigSection, Name, Seconds, Share
from sizeup_loadtest.config.servers import Server, host_of
from sizeup_loadtest.config.workload import (
    Lengths,
    SharedPrefix,
    StageLengths,
    TraceConfig,
)
from sizeup_loadtest.data.record import Length
from sizeup_loadtest.data.results import Requirements

Mode = Literal["closed", "open"]
Arrival = Literal["constant", "poisson", "trace"]
PromptSet = Literal["chat", "chat-short", "chat-long", "rag", "text"]

SLO_PRESETS: Mapping[str, Mapping[str, float]] = {
    # MLPerf Inference, llama3.1-8B: the Interactive and Server scenarios.
    "interactive": {"ttft_seconds": 0.5, "tpot_seconds": 0.03},
    "conversational": {"ttft_seconds": 2.0, "tpot_seconds": 0.1},
}


class Prompts(ConfigSection):
    """Prompts; every model gets the same."""

    set: PromptSet = "chat-short"
    file: str | None = None
    """JSON Lines, a JSON array or CSV with `prompt`, `messages` or ShareGPT's `conversations`, in
    place of a built-in set; relative to the config."""
    words: StageLengths = ()
    """Prompt lengths for the sets `rag` and `text`: numbers, each of which adds its own stages, or
    a distribution. A word is about 1.3 tokens."""
    shared_prefix: SharedPrefix | None = None
    """A system prompt before those of the set or the file."""
    turns: Annotated[int, Field(ge=1, le=100)] = 1
    """Above 1, conversations: a turn is sent with the server's answers to the earlier ones. Those
    of a file have the messages of its user, up to this number."""
    think_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Open loop: time between an answer and the next turn."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Distinct prompts before they repeat. Built-in sets are endless; a repeated prompt hits the
    server's prefix cache."""
    seed: int = 7


class Sampling(ConfigSection):
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: int = 7
    think: bool | None = None
    """Enables or disables thinking where the model supports the switch; None: model default."""


class OpenLoop(ConfigSection):
    """Open loop: requests arrive whether or not earlier ones have finished."""

    arrival: Literal["constant", "poisson"] = "poisson"
    rates: tuple[Annotated[float, Field(gt=0, le=10_000)], ...] = ()
    """Request rates per second, one stage each; with `prompts.turns`, a conversation arrives for
    every so many requests."""
    seconds: Seconds = 30
    """Time that is measured, at least; 20 mean answers where those take longer. As long again as
    half of it comes before, while the queue settles."""
    max_seconds: Seconds = 300
    """Of one stage of one model. A load near capacity settles slowly: one that needs longer is
    reported as transient, without an attainment."""


class LoadConfig(ConfigSection):
    """Load levels and their order."""

    blocks: Annotated[int, Field(ge=1, le=100)] = 5
    """Each block runs every closed stage of every model once; confidence intervals are bootstrapped
    over blocks. The blocks of an open loop are parts of one stage."""
    warmup: Annotated[int, Field(ge=0, le=100)] = 2
    """Warm-up requests per model, excluded from every metric."""
    closed: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = (1,)
    """Concurrency levels, one stage each."""
    open: OpenLoop = OpenLoop()
    trace: TraceConfig | None = None
    """Adds a stage in which requests arrive as recorded, once."""
    requests_per_block: Annotated[int, Field(ge=1, le=100_000)] = 8
    """Of a closed loop, per model and stage; at least the concurrency, plus the requests of ramp-up
    and ramp-down, which the latency metrics leave out."""
    stage_seconds: Seconds | None = None
    """Time limit of one stage of one model in one block: nothing is sent later."""


class Slo(ConfigSection):
    """Service level objective of a request: a preset, numbers, or both."""

    preset: Literal["interactive", "conversational"] | None = None
    ttft_seconds: Seconds = 2.0
    tpot_seconds: Seconds = 0.1
    attainment: Share = 0.95
    """Fraction of requests that must meet both limits."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {**SLO_PRESETS.get(str(value.get("preset")), {}), **value}


class Capacity(ConfigSection):
    """Search for the maximum load within the SLO."""

    enabled: bool = False
    mode: Mode = "closed"
    max: Annotated[float, Field(gt=0, le=10_000)] = 64
    seconds: Seconds = 20
    """Duration of one load of one model."""


class Ability(ConfigSection):
    """Questions with one correct answer: generated, or one's own."""

    enabled: bool = False
    file: str | None = None
    """Own questions, instead of generated ones: JSON Lines, a JSON array or CSV with `question` and
    `expected`, and optionally `check` (exact, number, choice, regex, json), `options`, `kind`,
    `id` and `system`; relative to the config."""
    system_prompt: str | None = None
    """Before every question that has none of its own."""
    kinds: tuple[str, ...] | None = None
    """None: all of the file, or the kinds for real sizes; see `ability/items.py`."""
    levels: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Of generated questions; None: all."""
    items: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Exact number of questions, the kinds and levels in turn; None: all of the file, or 200."""
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 4
    max_tokens: Annotated[int, Field(ge=1)] = 512
    seed: int = 7


class LmEval(ConfigSection):
    """Standard suites, run by lm-eval as a subprocess."""

    enabled: bool = False
    tasks: tuple[Name, ...] = ()
    model: Name = "local-chat-completions"
    """lm-eval's own model type. Loglikelihood tasks need `local-completions`, a `tokenizer` in
    `model_args`, and a server whose /v1/completions has `echo` with `logprobs`."""
    model_args: Mapping[str, str | int | float | bool | None] = {}
    """Further arguments of that model type."""
    options: tuple[str, ...] = ()
    """Further options of lm-eval's command line."""
    limit: Annotated[int, Field(ge=1)] | None = None
    command: tuple[Name, ...] = ("lm_eval",)


class ReportConfig(ConfigSection):
    """Reports written beside results.json."""

    html: bool = True
    csv: bool = True
    markdown: bool = True


class RunLimits(ConfigSection):
    """Limits of a run, and thresholds beyond which its results are invalid."""

    max_minutes: Seconds = 60
    """After it nothing more is sent."""
    budget_minutes: Seconds | None = None
    """Divides this time among phases, models and loads: fewer answers of slow servers, more of fast
    ones; None: the planned number, however long it takes."""
    max_error_share: Share = 0.05
    """Fraction of failed requests above which a model is invalid; a run without any valid model is
    invalid."""
    max_send_lag_seconds: Seconds = 0.05
    """p99 of sent - scheduled in open loop; ten times the value on an idle machine."""
    max_loop_lag_seconds: Seconds = 0.05
    """p99 of the wake-up delay of the client's event loop, in the run and in its worst stage."""
    max_requests: Annotated[int, Field(ge=1)] = 100_000
    """In the whole plan: their raw times are held in memory during analysis."""


class Config(ConfigSection):
    scenario: str = ""
    """Name of the config file, without folder and suffix."""
    target: Target = Target()
    models: Annotated[tuple[ModelConfig, ...], Field(min_length=1, max_length=100)]
    prompts: Prompts = Prompts()
    length: Literal["until_eos", "fixed", "both"] = "both"
    max_tokens: Lengths = 128
    """Exact with fixed length, the maximum otherwise; a number, or a distribution."""
    sampling: Sampling = Sampling()
    load: LoadConfig = LoadConfig()
    slo: Slo = Slo()
    capacity: Capacity = Capacity()
    ability: Ability = Ability()
    lm_eval: LmEval = LmEval()
    requirements: Requirements = Requirements()
    report: ReportConfig = ReportConfig()
    limits: RunLimits = RunLimits()

    @field_validator("models", mode="before")
    @classmethod
    def _from_names(cls, value: object) -> object:
        """Accept a plain string as a model name."""
        if not isinstance(value, list | tuple):
            raise ValueError("a list of names")  # noqa: TRY004 (pydantic reports a ValueError)
        if odd := [item for item in value if not isinstance(item, str | Mapping | ModelConfig)]:
            raise ValueError(f"names are texts: quote {odd[0]}")
        return tuple({"name": item} if isinstance(item, str) else item for item in value)

    @property
    def shares_prefixes(self) -> bool:
        """Whether prompts have their beginnings in common, so that prefix caches are of use."""
        prompts, trace = self.prompts, self.load.trace
        hashed = trace is not None and trace.format == "mooncake"
        return prompts.turns > 1 or prompts.shared_prefix is not None or hashed

    @property
    def lengths(self) -> tuple[Length, ...]:
        """Output length modes, in the order they are measured: the same for every model."""
        if self.ollama_models:
            return ("until_eos",)
        return ("fixed", "until_eos") if self.length == "both" else (self.length,)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        load, lm_eval, prompts = self.load, self.lm_eval, self.prompts
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        phases = (self.capacity, self.ability, lm_eval)
        loads = load.closed or load.open.rates or load.trace
        sized = prompts.file is None and prompts.set in ("rag", "text")
        if twice:
            raise ValueError(f"models: duplicate name {', '.join(twice)}")
        if not (loads or any(phase.enabled for phase in phases)):
            raise ValueError(
                "load: nothing to measure: no level in `closed` or `open.rates`, no `trace`, and "
                "neither capacity, ability nor lm_eval is enabled"
            )
        if prompts.words and not sized:
            raise ValueError(
                "prompts.words: only the sets `rag` and `text` have a configurable length"
            )
        if lm_eval.enabled and not lm_eval.tasks:
            raise ValueError("lm_eval.tasks: at least one is required")
        return self

    @property
    def ollama_models(self) -> tuple[str, ...]:
        """Models that are measured by Ollama's API, which has no fixed length."""
        return tuple(m.name for m in self.models if (m.api or self.target.api) == "ollama")

    def server(self, name: str) -> Server:
        """Return the server of a model; ConfigError when its key or CA file is missing."""
        target, model = self.target, next(m for m in self.models if m.name == name)
        url, variable = model.url or target.url, model.api_key_env or target.api_key_env
        key = settings.api_key(variable) if variable or self._has_default_key(url) else None
        if key is None and url == target.url:  # the file's key is sent to its gateway only
            key = settings.gateway_key()
        verify = target.verify if model.verify is None else model.verify
        return Server(
            url=url,
            model=model.model or model.name,
            api=model.api or target.api or "openai",
            key=key,
            headers={**target.headers, **model.headers},
            extra_body={**target.extra_body, **model.extra_body},
            verify=True if verify is None else verify,
            max_tokens_field=model.max_tokens_field or target.max_tokens_field or "max_tokens",
            timeout_seconds=target.timeout_seconds,
        )

    def _has_default_key(self, url: str) -> bool:
        """Whether a server gets the key of no named variable.

        It is of one host: that of the target, or of all models without a variable.
        """
        home, host = host_of(self.target.url), host_of(url)
        hosts = {host_of(m.url or self.target.url) for m in self.models if m.api_key_env is None}
        return host == home or hosts == {host}

    @property
    def servers(self) -> dict[str, Server]:
        return {model.name: self.server(model.name) for model in self.models}
