"""The results of a run: the schema of `results.json`, from which every report is rendered.

Units are seconds, tokens, bytes and dollars. A value that could not be measured is null, never
zero. `schema_version` changes when a field changes its meaning or is removed.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sizeup_loadtest.data.ability import AbilityResult, SuiteScore
from sizeup_loadtest.data.parts import CapacityPoint as CapacityPoint
from sizeup_loadtest.data.parts import CapacityResult as CapacityResult
from sizeup_loadtest.data.parts import Distribution as Distribution
from sizeup_loadtest.data.parts import Estimate as Estimate
from sizeup_loadtest.data.parts import LatencyBreakdown as LatencyBreakdown
from sizeup_loadtest.data.parts import MeanAndMax as MeanAndMax
from sizeup_loadtest.data.parts import Proportion as Proportion
from sizeup_loadtest.data.parts import Result as Result
from sizeup_loadtest.data.parts import ServerMetrics as ServerMetrics
from sizeup_loadtest.data.parts import TurnResult as TurnResult

SCHEMA_VERSION = 1


class StageResult(Result):
    """One model under one load."""

    stage: str
    mode: Literal["closed", "open"]
    level: float
    """Closed loop: concurrent requests. Open loop: requests per second."""
    arrival: Literal["constant", "poisson", "trace"] | None = None
    length: Literal["until_eos", "fixed"]
    api: Literal["openai", "ollama"]
    n: int
    """Requests sent. Includes those of ramp-up and ramp-down, and of an open loop's first third,
    which the latency metrics leave out: each of those has its own n."""
    errors: Mapping[str, int]
    """Outcome -> number of requests; without ok."""
    frequent_errors: tuple[tuple[str, int], ...] = ()
    """Messages of failed requests with their counts, at most 3, the most frequent first."""
    invalid_reason: str | None = None
    """Why this stage is unusable; None when it is valid."""
    prompt_tokens: Estimate | None
    completion_tokens: Estimate | None
    counted_by: Literal["usage", "length", "chunks", "mixed"] | None
    """Source of the token counts: the server's usage, the fixed length, or the number of chunks."""
    ttft: Distribution | None
    """First token - sent."""
    ttft_sched: Distribution | None
    """First token - scheduled: corrected for coordinated omission."""
    answer_ttft: Distribution | None = None
    """First token of the answer, after thinking - sent; None where no model thought."""
    itl: Distribution | None
    """Gaps between chunks, pooled; n counts the requests."""
    tpot: Distribution | None
    """(last token - first token) / (tokens - those of the first chunk), per request."""
    e2e: Distribution | None
    e2e_sched: Distribution | None
    norm_latency: Distribution | None
    """e2e / tokens; guidellm calls this TPOT."""
    tok_s_user: Estimate | None
    """1 / tpot."""
    out_tok_s: Estimate | None
    """Of requests that succeeded. Closed loop: requests in flight at full concurrency x tokens /
    e2e, means of the same requests. Open loop: tokens received in the measured time / that time."""
    requests_s: Estimate | None
    """The same for completed requests: in a closed loop requests in flight / e2e."""
    goodput: Estimate | None
    """The same for requests within the SLO, in an open loop by the time they were due."""
    attainment: Proportion | None
    """Fraction of requests within the SLO; an error is not. In an open loop the interval
    is over parts of the stage. None where `load_state` is not steady."""
    load_state: Literal["steady", "transient", "saturated"] | None = None
    """Open loop: whether the stage reached its steady state. transient: it was too short for that;
    saturated: the rate exceeds the server's capacity, so that latency grows without end."""
    retries: int = 0
    """Attempts that were refused with 429 or 503 and sent again; the wait is in `ttft_sched`."""
    tokens_per_chunk: float | None
    breakdown: LatencyBreakdown | None = None
    short_outputs: int = 0
    """Fixed-length outputs with fewer tokens than requested."""
    truncated_prompts: int = 0
    """Prompts for which the server counted fewer tokens than half their words."""
    cached_tokens: Estimate | None = None
    """Prompt tokens taken from the server's prefix cache."""
    cached_prompts: int = 0
    """Prompts of which at least half came from the prefix cache."""
    turns: tuple[TurnResult, ...] = ()
    """Of conversations, with `prompts.turns`."""
    reloads: int = 0
    """Blocks before which the model had to be loaded; no metric includes that time."""
    server_metrics: ServerMetrics | None = None


class Cost(Result):
    """Cost at the price in the config."""

    price_per_hour: float
    per_million_output_tokens: Estimate | None
    """The interval is that of the throughput; a load of the capacity search has none."""
    at_level: float | None
    """The load whose throughput was used."""
    at_mode: Literal["closed", "open"] | None = None
    """Its unit: users of a closed loop, or requests per second of an open one."""
    within_slo: bool | None = None
    """Whether that load met the SLO; when none did, it is the one of highest throughput."""
    upper_bound: bool = False
    """That load was the largest tried and met the SLO: a larger one may be cheaper."""
    per_correct_answer: Estimate | None
    """Measured over the ability phase, at ability.concurrency."""


class ModelInfo(Result):
    """Model metadata as reported by the server."""

    architecture: str | None = None
    """`general.architecture`: qwen2, qwen3_moe."""
    parameters: int | None = None
    layers: int | None = None
    weight_bytes: int | None = None
    """Size of the files; the running model may have another dtype."""
    memory_bytes: int | None = None
    """Memory of the loaded model, in RAM and on GPUs."""
    device_bytes: int | None = None
    """The part of it on GPUs."""
    load_seconds: float | None = None
    """Load time reported by the running process."""
    dtype: str | None = None
    """Data type of the running model."""
    context_length: int | None = None
    digest: str | None = None


class ServerResult(Result):
    """The server of a model, and how requests to it differ from the config."""

    url: str
    model: str
    """The name of the model there."""
    api: Literal["openai", "ollama"]
    adaptations: tuple[str, ...] = ()
    """Parameters that it refuses, and what that means for the results."""


class ModelResult(Result):
    """Everything measured for one model."""

    name: str
    server: ServerResult | None = None
    model_info: ModelInfo
    parameters_source: Literal["server", "config", "name"] | None = None
    """Where `model_info.parameters` comes from."""
    invalid_reason: str | None = None
    """Why its results are unusable; None when they are valid. Other models are unaffected."""
    load_seconds: float | None = None
    """The cold start measured in the run, else the load time reported by the server."""
    load_source: Literal["cold start", "server"] | None = None
    bound_tok_s: float | None = None
    """Memory bandwidth / bytes of the weights in their running dtype, where the config gives the
    bandwidth. None for a mixture of experts, where a token reads only some of the weights."""
    stages: tuple[StageResult, ...] = ()
    capacity: CapacityResult | None = None
    ability: AbilityResult | None = None
    suites: Mapping[str, SuiteScore] = {}
    """Scores of standard suites by name."""
    cost: Cost | None = None


class Paired(Result):
    """Two models on the same prompts in the same blocks; ratios are b / a."""

    a: str
    b: str
    stage: str | None
    tpot_ratio: Estimate | None = None
    ttft_ratio: Estimate | None = None
    e2e_ratio: Estimate | None = None
    only_a_correct: int | None = None
    only_b_correct: int | None = None
    mcnemar_p: float | None = None
    """Exact, two-sided."""


class Lag(Result):
    """Distribution of a delay, in seconds."""

    n: int
    p50: float
    p99: float
    high: float


class Validity(Result):
    """Whether the measurement is valid, and why not."""

    valid: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    send_lag: Lag | None
    """Open loop: sent - scheduled."""
    loop_lag: Lag | None
    """Wake-up delay of the client's event loop."""
    worst_stage: str | None = None
    """The stage with the largest p99 of it, among stages long enough to have a p99."""
    worst_stage_lag: Lag | None = None
    error_share: float
    complete: bool = True
    """False when the run was stopped before its end."""
    share_done: float | None = None
    """Of the whole run, where it was stopped."""


class Requirements(Result):
    """Minimum requirements for a model to be recommended; None means no requirement."""

    ability: Annotated[float, Field(ge=0, le=1)] | None = None
    tok_s_user: Annotated[float, Field(ge=0)] | None = None
    ttft_p50: Annotated[float, Field(ge=0)] | None = None
    attainment: Annotated[float, Field(ge=0, le=1)] | None = None
    cost_per_million: Annotated[float, Field(ge=0)] | None = None
    """Dollars per million output tokens."""


class RequirementCheck(Result):
    """One model against the requirements."""

    model: str
    passes: bool | None
    """None without requirements, or when a required metric was not measured."""
    misses: tuple[str, ...]


class Verdict(Result):
    """The smallest model that meets the requirements."""

    requirements: Requirements
    smallest: str | None
    checks: tuple[RequirementCheck, ...]
    sentence: str


class SampleOutputs(Result):
    """One prompt with the output of every model."""

    prompt: str
    outputs: Mapping[str, str]
    """Model -> output."""


class Results(Result):
    """A whole run."""

    schema_version: Literal[1] = 1
    tool_version: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    target: str
    scenario: str
    config: Mapping[str, object]
    """The effective config."""
    schedule_hash: str
    """sha256 of the schedule; equal hashes mean the same requests in the same order."""
    environment: Mapping[str, str]
    models: tuple[ModelResult, ...]
    """Smallest first, where `ordered_by_size`; else as configured."""
    ordered_by_size: bool = True
    """False where the parameter count of a model is unknown: then no model is the smallest."""
    ability_source: str | None = None
    """`built-in` for generated questions, else the name of the file; None when none were asked."""
    paired: tuple[Paired, ...]
    validity: Validity
    verdict: Verdict | None
    samples: tuple[SampleOutputs, ...] = ()

    def config_section(self, name: str) -> Mapping[str, object]:
        """Return a section of the config; empty without it, as in the results of an older tool."""
        found = self.config.get(name)
        return found if isinstance(found, Mapping) else {}
