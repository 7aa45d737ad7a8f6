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

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Estimate(Result):
    """A value with its 95 % interval, bootstrapped over blocks; no interval below 5 blocks."""

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
    """Requests, also where each has several times."""
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
    """Requests sent. Those that fill and empty a closed loop are among them, and in no figure of
    single requests: each of those has its own n."""
    errors: Mapping[str, int]
    """Outcome -> how many of n; without ok."""
    prompt_tokens: Estimate | None
    completion_tokens: Estimate | None
    counted_by: Literal["usage", "chunks", "mixed"] | None
    ttft: Distribution | None
    """First token - sent."""
    ttft_sched: Distribution | None
    """First token - scheduled."""
    itl: Distribution | None
    """Gaps between chunks, pooled; n counts the answers."""
    tpot: Distribution | None
    """(last token - first token) / (tokens - 1), per request."""
    e2e: Distribution | None
    e2e_sched: Distribution | None
    norm_latency: Distribution | None
    """e2e / tokens; guidellm calls this TPOT."""
    tok_s_user: Estimate | None
    """1 / tpot."""
    out_tok_s: Estimate | None
    """Closed loop: requests under way while all users are there x tokens / e2e, means of the same
    requests. Open loop: tokens / the time in which requests came, or which the server needed for
    them at its best output where that is longer."""
    requests_s: Estimate | None
    """The same, of answers: in closed loop requests under way / e2e."""
    goodput: Estimate | None
    """The same, of those that met the objective; in open loop of the requests that came, / the time
    in which they came."""
    attainment: Proportion | None
    """Share of requests that met the objective; errors did not."""
    tokens_per_chunk: float | None
    split: Split | None = None
    short_answers: int = 0
    """Answers of forced length with fewer tokens than forced: their lengths are their own."""
    cut_prompts: int = 0
    """Prompts of which the server read fewer tokens than half their words."""
    reloads: int = 0
    """Blocks ahead of which the model had to be loaded; no figure counts the time."""


class CapacityPoint(Result):
    """One load that was tried."""

    level: float
    attainment: Proportion
    """The load passes by its value, certain or not."""
    out_tok_s: float | None
    ttft_p50: float | None
    tpot_p50: float | None
    saturated: bool
    """In-flight requests and TTFT both kept growing."""


class CapacityResult(Result):
    """The largest load within the objective, and where throughput bends."""

    mode: Literal["closed", "open"]
    largest: float | None
    """None when not even the smallest load met the objective."""
    attainment: Proportion | None = None
    """At that load. Its value decided; the interval says how near it may have been to a miss."""
    bounded_by_limit: bool
    """True when the search ended at its own upper limit."""
    client_late: bool = False
    """True when the client was late at the least load that failed above: a larger one may pass."""
    finished: bool = True
    """False when the search was cut off: a larger load may pass."""
    knee: float | None
    effective_parallelism: float | None
    """Throughput at the knee / throughput of one stream; between loads that were tried, in line."""
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
    cut: int | None = None
    """Answers that ended at ability.max_tokens; None where the server never says how one ended."""
    errors: int
    """Requests without an answer; not graded, and part of validity."""
    seconds_per_answer: Estimate | None
    tokens_per_answer: Estimate | None
    right_per_second: Estimate | None = None
    """Right answers / seconds in which this size was asked, ability.concurrency at a time."""


class SuiteScore(Result):
    """A score of a standard suite, by lm-eval."""

    value: float
    """0 to 1."""
    stderr: float | None = None
    """lm-eval's own; the 95 % interval reaches 1.96 of it to both sides."""
    n: int | None = None
    """Questions."""


class Cost(Result):
    """What it costs at the price given in the config."""

    price_per_hour: float
    per_million_output_tokens: Estimate | None
    """Its interval is the throughput's; a load of a search has none."""
    at_level: float | None
    """The load whose throughput was used."""
    within: bool | None = None
    """Whether that load kept the objective; when none did, it is the one of highest throughput."""
    upper_bound: bool = False
    """That load was the largest tried and kept the objective: a larger one may be cheaper."""
    per_correct_answer: Estimate | None
    """Of the ability phase itself, with its own prompts and ability.concurrency at a time."""


class ModelFacts(Result):
    """What the server says of a model."""

    architecture: str | None = None
    """As the server names it: qwen2, qwen3_moe."""
    parameters: int | None = None
    layers: int | None = None
    weight_bytes: int | None = None
    """Of the files; what runs may have another dtype."""
    memory_bytes: int | None = None
    """What the loaded model takes, wherever it lies."""
    device_bytes: int | None = None
    """The part of it that lies on GPUs."""
    load_seconds: float | None = None
    """How long the process that runs took to load it."""
    dtype: str | None = None
    """What it runs in."""
    context_length: int | None = None
    digest: str | None = None


class ModelResult(Result):
    """Everything measured of one size."""

    name: str
    facts: ModelFacts
    broken: str | None = None
    """Why its figures are not to be trusted; None when they are. The other sizes' still are."""
    load_seconds: float | None = None
    """The cold start the run saw, else what the server says of the process that runs."""
    load_source: Literal["cold start", "server"] | None = None
    bound_tok_s: float | None = None
    """Memory bandwidth / bytes of the weights as they run, where the config gives the bandwidth.
    None for a mixture of experts, of which a token reads a part."""
    stages: tuple[StageResult, ...] = ()
    capacity: CapacityResult | None = None
    ability: AbilityResult | None = None
    suites: Mapping[str, SuiteScore] = {}
    """Scores of standard suites by name."""
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
    worst_stage: str | None = None
    """The stage of the plan in which it woke latest, of those long enough to have a p99."""
    worst_stage_lag: Lag | None = None
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
