"""The results of a run: what `results.json` holds, and every report is made from.

Seconds, tokens, bytes and dollars, never milliseconds. What could not be measured is null, never
zero. `schema_version` changes when a field changes its meaning or goes away.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Result(BaseModel):
    """Refuse unknown fields and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Estimate(Result):
    """A value with its 95 % interval, from a bootstrap over blocks; no interval below 5 blocks."""

    value: float
    low: float | None = None
    high: float | None = None


class Proportion(Result):
    """A share with its 95 % Wilson interval."""

    successes: int
    n: int
    value: float
    low: float
    high: float


class Distribution(Result):
    """Times in seconds. A percentile is null where n is too small for its own 95 % interval."""

    n: int
    mean: Estimate
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    low: float
    high: float
    """Smallest and largest."""


class Split(Result):
    """Where an answer's time went, from the server's own durations (Ollama route)."""

    load: Distribution
    queue: Distribution
    """What is left of the total: waiting and the way there."""
    prefill: Distribution
    decode: Distribution


class StageResult(Result):
    """One model under one load."""

    stage: str
    mode: Literal["closed", "open"]
    level: float
    """Closed loop: concurrent requests. Open loop: requests per second."""
    arrival: Literal["constant", "poisson"] | None = None
    length: Literal["natural", "forced"]
    api: Literal["openai", "ollama"]
    n: int
    errors: Mapping[str, int]
    """Outcome -> how many; without ok."""
    prompt_tokens: Estimate | None
    completion_tokens: Estimate | None
    counted_by: Literal["usage", "chunks", "mixed"] | None
    ttft: Distribution | None
    """First token - sent."""
    ttft_sched: Distribution | None
    """First token - scheduled."""
    itl: Distribution | None
    """Gaps between chunks, pooled."""
    tpot: Distribution | None
    """(last token - first token) / (tokens - 1), per request."""
    e2e: Distribution | None
    e2e_sched: Distribution | None
    norm_latency: Distribution | None
    """e2e / tokens; guidellm calls this TPOT."""
    tok_s_user: Estimate | None
    """1 / tpot."""
    out_tok_s: Estimate | None
    """Tokens that arrived inside the steady window / its length."""
    requests_s: Estimate | None
    goodput: Estimate | None
    """Requests per second that met the objective."""
    attainment: Proportion | None
    """Share of requests that met the objective; errors did not."""
    tokens_per_chunk: float | None
    split: Split | None = None


class CapacityPoint(Result):
    """One load that was tried."""

    level: float
    attainment: Proportion
    out_tok_s: float
    ttft_p50: float | None
    tpot_p50: float | None
    saturated: bool
    """In-flight requests and TTFT both kept growing."""


class CapacityResult(Result):
    """The largest load within the objective, and where throughput bends."""

    mode: Literal["closed", "open"]
    largest: float | None
    """None when not even the smallest load met the objective."""
    bounded_by_limit: bool
    """True when the search ended at its own upper limit."""
    knee: float | None
    effective_parallelism: float | None
    """Throughput at the knee / throughput of one stream."""
    points: tuple[CapacityPoint, ...]


class AbilityKind(Result):
    """One kind of question."""

    kind: str
    level: int
    score: Proportion
    unparsed: int
    """Answers in which no answer could be found; they count as wrong."""


class AbilityResult(Result):
    """What a size can do."""

    overall: Proportion
    kinds: tuple[AbilityKind, ...]
    unparsed: int
    errors: int
    """Requests without an answer; not graded, and part of validity."""
    seconds_per_answer: Estimate | None
    tokens_per_answer: Estimate | None


class Cost(Result):
    """What it costs at the price given in the config."""

    price_per_hour: float
    per_million_output_tokens: float | None
    at_level: float | None
    """The load whose throughput was used."""
    within: bool | None = None
    """Whether that load kept the objective; when none did, it is the one of highest throughput."""
    per_correct_answer: float | None


class ModelFacts(Result):
    """What the server says of a model."""

    parameters: int | None = None
    layers: int | None = None
    weight_bytes: int | None = None
    device_bytes: int | None = None
    dtype: str | None = None
    context_length: int | None = None
    digest: str | None = None


class ModelResult(Result):
    """Everything measured of one size."""

    name: str
    facts: ModelFacts
    load_seconds: float | None = None
    """The cold start the run saw, else None."""
    bound_tok_s: float | None = None
    """Memory bandwidth / weight bytes, where the config gives the bandwidth."""
    stages: tuple[StageResult, ...] = ()
    capacity: CapacityResult | None = None
    ability: AbilityResult | None = None
    suites: Mapping[str, float] = {}
    """Scores of standard suites, 0 to 1, by name (lm-eval)."""
    cost: Cost | None = None


class Paired(Result):
    """Two sizes on the same prompts in the same blocks; ratios are b / a."""

    a: str
    b: str
    stage: str | None
    tpot_ratio: Estimate | None = None
    ttft_ratio: Estimate | None = None
    e2e_ratio: Estimate | None = None
    only_a_right: int | None = None
    only_b_right: int | None = None
    mcnemar_p: float | None = None
    """Exact, two-sided."""


class Lag(Result):
    """How late something was, in seconds."""

    n: int
    p50: float
    p99: float
    high: float


class Validity(Result):
    """Whether the figures can be trusted, and why not."""

    valid: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    send_lag: Lag | None
    """Open loop: sent - scheduled."""
    loop_lag: Lag | None
    """How late the client's own event loop woke."""
    error_share: float


class Bar(Result):
    """What a size must reach to be good enough; None asks nothing."""

    ability: float | None = None
    tok_s_user: float | None = None
    ttft_p50: float | None = None
    attainment: float | None = None


class Check(Result):
    """One size against the bar."""

    model: str
    passes: bool | None
    """None when something the bar asks was not measured."""
    misses: tuple[str, ...]


class Verdict(Result):
    """The smallest size that passes the bar."""

    bar: Bar
    smallest: str | None
    checks: tuple[Check, ...]
    sentence: str


class SideBySide(Result):
    """One prompt, every size's answer."""

    prompt: str
    answers: Mapping[str, str]


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
    """The config as it was understood."""
    schedule_hash: str
    """sha256 of the compiled schedule; equal hashes mean the same requests in the same order."""
    environment: Mapping[str, str]
    models: tuple[ModelResult, ...]
    """Smallest first."""
    paired: tuple[Paired, ...]
    validity: Validity
    verdict: Verdict | None
    answers: tuple[SideBySide, ...] = ()
