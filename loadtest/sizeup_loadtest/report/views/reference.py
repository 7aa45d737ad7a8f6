"""Definitions of the metrics, and the environment of the run. Pure."""

import yaml

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views.blocks import Definitions, Facts, Section

DEFINITIONS = (
    ("TTFT, time to first token", "t₁ − t_send", "first chunk with content; a role is not content"),
    ("TTFT from schedule", "t₁ − t_sched",
     "corrected for coordinated omission: includes waiting for a late client"),
    ("TPOT, time per output token", "(tₙ − t₁) / (N − k)", 
     "k: tokens of the first chunk; guidellm's ITL"),
    ("ITL, inter-token latency", "gaps between chunks, pooled", "a chunk may hold several tokens"),
    ("E2E latency", "t_end − t_send", "depends on the output length of a model"),
    ("normalized latency", "E2E / N", "guidellm calls this TPOT"),
    ("tokens/s per user", "1 / mean TPOT", "output tokens only"),
    ("tokens/s total, closed loop", "requests in flight × tokens / E2E",
     "at full concurrency, without ramp-up and ramp-down (Little's law)"),
    ("tokens/s total, open loop", "tokens received in the measured time / that time",
     "without the first third of a stage; of requests that succeeded, as in a closed loop"),
    ("SLO attainment", "requests within the limits of TTFT from schedule and TPOT / all",
     "an error is a miss"),
    ("goodput", "as tokens/s total, for requests within the SLO",
     "open loop: / time over which requests arrived"),
    ("bandwidth bound", "memory bandwidth / bytes of the weights in their running dtype",
     "every token reads all weights; blank for mixtures of experts"),
    ("knee", "intersection of the two straight lines that fit throughput over load best", ""),
    ("effective parallelism", "throughput at the knee / throughput of one stream",
     "near 1: the server does not batch"),
    ("cost per M tokens", "price per hour / 3600 / (tokens/s total) × 10⁶",
     "at the best load within the SLO; ≤ where no larger load was tried"),
    ("cost per correct answer", "price per hour / 3600 × seconds of all questions / correct ones",
     "at ability.concurrency"),
    ("time per correct answer", "time per answer / fraction correct", ""),
    ("interval of a mean or ratio", "95 %, t × standard error bootstrapped over blocks",
     "from 5 blocks; on a logarithmic scale, so never below 0"),
    ("interval of a proportion", "95 %, Wilson", ""),
    ("percentile", "blank unless its own 95 % interval exists", "p95 needs 72 requests, p99 368"),
    ("memory", "memory of the loaded model", "for sizeup: weights, and on GPUs the KV cache"),
    ("load time", "the cold start measured in this run", "else as reported by the server"),
    ("McNemar p", "exact, two-sided, over questions that one model alone answered correctly", ""),
)  # fmt: skip


def definitions() -> Section:
    return Section(
        "definitions",
        "Definitions",
        "Tools define these metrics differently. Here t_sched is the scheduled send time of a"
        " request, t_send the actual one, t₁ the first content, tₙ the last content or the finish"
        " reason, whichever is later, t_end the end of the stream, and N the output tokens as"
        " counted by the server.",
        (Definitions(DEFINITIONS),),
    )


def environment(results: Results) -> Section:
    rows = (
        ("target", results.target),
        ("scenario", results.scenario),
        ("started", results.started_at),
        ("duration", formatting.seconds(results.seconds)),
        ("schedule", results.schedule_hash),
        ("tool", f"sizeup-bench {results.tool_version}, results schema {results.schema_version}"),
        *results.environment.items(),
        *(
            (f"{m.name} server", "; ".join((f"{s.model} at {s.url} ({s.api})", *s.adaptations)))
            for m in results.models
            if (s := m.server)
        ),
        *((f"{m.name} digest", m.model_info.digest) for m in results.models if m.model_info.digest),
    )
    config = yaml.safe_dump(dict(results.config), sort_keys=False, allow_unicode=True)
    return Section(
        "environment",
        "Environment",
        "Runs with the same schedule hash sent the same requests in the same order.",
        (Facts(rows, "Effective config", config),),
    )
