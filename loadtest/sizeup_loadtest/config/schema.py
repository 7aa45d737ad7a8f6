"""The config of a run: one strict YAML file, whose every key is a field here.

Unknown keys, keys given twice and values of another type are mistakes, and all of them are told.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from sizeup_loadtest.data.record import Api, Length
from sizeup_loadtest.data.results import Bar

Mode = Literal["closed", "open"]
Arrival = Literal["constant", "poisson"]
PromptSet = Literal["chat-short", "chat-long", "rag", "text"]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=256)]

SLO_PRESETS: Mapping[str, Mapping[str, float]] = {
    # MLPerf's limits for llama3.1-8B: Interactive and Server.
    "interactive": {"ttft_seconds": 0.5, "tpot_seconds": 0.03},
    "conversational": {"ttft_seconds": 2.0, "tpot_seconds": 0.1},
}


class Section(BaseModel):
    """Refuse unknown keys and numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(Section):
    """Where requests go."""

    url: str = "http://127.0.0.1:11434"
    api: Api = "openai"
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    timeout_seconds: Seconds = 300
    """From sending to the last byte."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        TypeAdapter(AnyHttpUrl).validate_python(value)
        return value.rstrip("/").removesuffix("/v1")


class Model(Section):
    """One size."""

    name: Name
    """As the server lists it."""
    label: str | None = None
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """Dollars, of all the hardware that serves it."""
    bandwidth_gb_s: Annotated[float, Field(gt=0)] | None = None
    """Memory bandwidth of that hardware, 1e9 bytes per second: bounds tokens per second."""


class Prompts(Section):
    """What is asked; every size is asked the same."""

    set: PromptSet = "chat-short"
    file: str | None = None
    """JSON lines with `prompt` or `messages`, in place of a built-in set; beside the config."""
    words: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = ()
    """Lengths of prompts of the sets `rag` and `text`; each makes stages of its own."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Different prompts before they repeat. Built-in sets need not repeat, and a repeated prompt
    meets the server's prefix cache."""
    seed: int = 7


class Sampling(Section):
    """How answers are drawn."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: int = 7
    think: bool | None = None
    """Thinking on or off, where a model has the switch; None leaves it to the model."""


class OpenLoop(Section):
    """Requests that come whether or not earlier ones have ended."""

    arrival: Arrival = "poisson"
    rates: tuple[Annotated[float, Field(gt=0, le=10_000)], ...] = ()
    """Requests per second, each a stage."""


class Load(Section):
    """How much is asked at one time, and in which order."""

    blocks: Annotated[int, Field(ge=1, le=100)] = 5
    """Every stage of every size once per block; intervals are bootstrapped over blocks."""
    warmup: Annotated[int, Field(ge=0, le=100)] = 2
    """Requests per size before anything is counted."""
    closed: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = (1,)
    """Concurrent requests, each a stage."""
    open: OpenLoop = OpenLoop()
    requests_per_block: Annotated[int, Field(ge=1, le=100_000)] = 8
    """Of one size in one stage; in closed loop at least the concurrent requests, and beside them
    those that fill and empty it, which no figure of single requests counts."""
    stage_seconds: Seconds | None = None
    """Of one size's stage in one block: nothing is sent later, however many are left."""
    drain_seconds: Seconds = 10
    """Several shards: how long a stage may go on after `stage_seconds` before the next begins."""


class Slo(Section):
    """What a request must keep to count as good; a preset, numbers, or both."""

    preset: Literal["interactive", "conversational"] | None = None
    ttft_seconds: Seconds = 2.0
    tpot_seconds: Seconds = 0.1
    attainment: Share = 0.95
    """Share of requests that must keep both."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {**SLO_PRESETS.get(str(value.get("preset")), {}), **value}


class Capacity(Section):
    """Search for the largest load within the objective."""

    enabled: bool = False
    mode: Mode = "closed"
    max: Annotated[float, Field(gt=0, le=10_000)] = 64
    seconds: Seconds = 20
    """Of one load of one size."""


class Ability(Section):
    """Questions with one right answer."""

    enabled: bool = False
    kinds: tuple[str, ...] | None = None
    """None: all."""
    levels: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """None: all."""
    items: Annotated[int, Field(ge=1, le=100_000)] = 200
    """In all, spread over kinds and levels."""
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 4
    max_tokens: Annotated[int, Field(ge=1)] = 512
    seed: int = 7


class LmEval(Section):
    """Standard suites, by lm-eval as a process of its own."""

    enabled: bool = False
    tasks: tuple[Name, ...] = ()
    """Tasks that let a model write, through the chat route."""
    likelihood_tasks: tuple[Name, ...] = ()
    """Tasks that ask how likely a text is, on a server whose /v1/completions echoes a prompt with
    its log-probabilities; they need `tokenizer`. Base models have no others."""
    tokenizer: Name | None = None
    """The models': a folder, or a name on the hub. lm-eval sends their token ids."""
    limit: Annotated[int, Field(ge=1)] | None = None
    command: tuple[Name, ...] = ("lm_eval",)


class Report(Section):
    """What is written beside results.json."""

    html: bool = True
    csv: bool = True
    markdown: bool = True


class Limits(Section):
    """When a run ends, and when its figures are not to be trusted."""

    max_minutes: Seconds = 60
    max_error_share: Share = 0.05
    """Of one size's requests; a size with more is broken, and a run of such sizes alone invalid."""
    max_send_lag_seconds: Seconds = 0.05
    """p99 of sent - scheduled in open loop; ten times what an idle machine shows."""
    max_loop_lag_seconds: Seconds = 0.05
    """p99 of how late the client's event loop wakes, in the whole run and in its worst stage."""
    max_requests: Annotated[int, Field(ge=1)] = 100_000
    """Of the whole plan: their raw times are held in memory when results are made."""


class Config(Section):
    """Everything that decides a run."""

    scenario: str = ""
    """Name of the file it came from, without folder and suffix."""
    target: Target = Target()
    models: Annotated[tuple[Model, ...], Field(min_length=1, max_length=100)]
    prompts: Prompts = Prompts()
    length: Literal["natural", "forced", "both"] = "both"
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Exact in forced length, the most in natural length."""
    sampling: Sampling = Sampling()
    load: Load = Load()
    slo: Slo = Slo()
    capacity: Capacity = Capacity()
    ability: Ability = Ability()
    lm_eval: LmEval = LmEval()
    bar: Bar = Bar()
    report: Report = Report()
    limits: Limits = Limits()

    @field_validator("models", mode="before")
    @classmethod
    def _from_names(cls, value: object) -> object:
        """Take a bare name for a model of that name."""
        if not isinstance(value, list | tuple):
            return value
        return tuple({"name": item} if isinstance(item, str) else item for item in value)

    @property
    def lengths(self) -> tuple[Length, ...]:
        """Return the length regimes in the order they are measured."""
        return ("forced", "natural") if self.length == "both" else (self.length,)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError("models: a name is there twice")
        return self

    @model_validator(mode="after")
    def _api_can_force(self) -> Self:
        if self.target.api == "ollama" and self.length != "natural":
            raise ValueError(
                "length: Ollama's API cannot force a length (it has no ignore_eos); "
                "use `length: natural`, or `target.api: openai`"
            )
        return self

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        sized = self.prompts.file is None and self.prompts.set in ("rag", "text")
        if self.prompts.words and not sized:
            raise ValueError(
                "prompts.words: only the sets `rag` and `text` have a length to choose"
            )
        return self

    @model_validator(mode="after")
    def _has_tasks(self) -> Self:
        asked = self.lm_eval
        if asked.enabled and not (asked.tasks or asked.likelihood_tasks):
            raise ValueError("lm_eval: name at least one of `tasks` or `likelihood_tasks`")
        if asked.likelihood_tasks and asked.tokenizer is None:
            raise ValueError("lm_eval.tokenizer: likelihood tasks need the models' tokenizer")
        return self
