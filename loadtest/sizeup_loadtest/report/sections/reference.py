"""What the words mean, and what was measured where."""

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection
from sizeup_loadtest.report.tables import pairs

DEFINITIONS = (
    ("time to first token (TTFT)", "t₁ − t_send", "first chunk with content; a role alone is none"),
    ("TTFT from schedule", "t₁ − t_sched", "what an arriving user waits, queue included"),
    ("time per output token (TPOT)", "(tₙ − t₁) / (N − 1)", "guidellm calls this ITL"),
    ("chunk gap (ITL)", "gaps between chunks, pooled", "a chunk may hold several tokens"),
    ("whole answer (E2E)", "t_end − t_send", "depends on how much a size writes"),
    ("normalised latency", "E2E / N", "guidellm calls this TPOT"),
    ("tokens/s, one user", "1 / mean TPOT", "output tokens alone, without the prompt"),
    ("tokens/s in all", "users under way × tokens / seconds of their answers",
     "those that fill and empty the loop left out"),
    ("tokens/s, open loop", "tokens / seconds in which requests came",
     "or which the server needed, where it fell behind"),
    ("in objective (attainment)", "requests that kept TTFT from schedule and TPOT / all",
     "errors did not keep it"),
    ("goodput", "as tokens/s in all, of answers in objective",
     "open loop: / seconds in which requests came"),
    ("bandwidth bound", "memory bandwidth / bytes of the weights as they run",
     "each token reads all weights once; blank for mixtures of experts"),
    ("knee", "where two straight lines fit throughput over load best", ""),
    ("effective parallelism", "throughput at the knee / throughput of one stream",
     "near 1: requests wait for each other"),
    ("cost per M tokens", "price per hour / 3600 / (tokens/s in all) × 10⁶",
     "at the best load within the objective; ≤ where no larger load was tried"),
    ("cost of right answers", "price per hour / 3600 × seconds all questions took / right answers",
     "ability.concurrency at a time"),
    ("wait for a right answer", "time per answer / share right", ""),
    ("interval of a mean or ratio", "95 %, t x standard error bootstrapped over blocks",
     "from 5; on a logarithmic scale: × and ÷ the same factor, never below 0"),
    ("interval of a share", "95 %, Wilson", ""),
    ("percentile", "blank unless its own 95 % interval exists", "p95 needs 72, p99 needs 368"),
    ("memory", "what loading takes", "of sizeup's weights, and on GPUs the KV cache"),
    ("load", "the cold start this run saw", "else as the server says of its process"),
    ("McNemar p", "exact, two-sided, over questions one size alone got right", ""),
)  # fmt: skip


def definitions() -> ConfigSection:
    """Return every figure's formula."""
    rows = (
        tag("tr", tag("th", name, scope="row"), tag("td", tag("code", formula)), tag("td", note))
        for name, formula, note in DEFINITIONS
    )
    heads = (tag("th", head, scope="col") for head in ("Figure", "Formula", "Note"))
    made = tag(
        "table",
        tag("caption", "Definitions"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        class_="defined",
    )
    return ConfigSection(
        "definitions",
        "What the words mean",
        "Definitions",
        "The same words mean different figures in different tools. Here t_sched is when a request"
        " should have been sent, t_send when it was, t₁ the first content, tₙ the last or, where"
        " that came later, the reason why the answer ended, t_end the end of the stream, N the"
        " answer's tokens by the server's count.",
        tag("div", made, class_="scroll"),
    )


def environment(results: Results) -> ConfigSection:
    """Return where, when and with which schedule."""
    rows: list[tuple[str, str | Markup]] = [
        ("target", results.target),
        ("scenario", results.scenario),
        ("started", results.started_at),
        ("took", formatting.seconds(results.seconds)),
        ("schedule", tag("code", results.schedule_hash)),
        ("tool", f"sizeup-bench {results.tool_version}, results schema {results.schema_version}"),
        *results.environment.items(),
        *(
            (f"{m.name} digest", tag("code", m.model_info.digest))
            for m in results.models
            if m.model_info.digest
        ),
    ]
    return ConfigSection(
        "environment",
        "Where it was measured",
        "Environment",
        "Runs with the same schedule hash sent the same requests in the same order.",
        join((pairs(rows), _config(results))),
    )


def _config(results: Results) -> Markup:
    lines = _yaml(dict(results.config), 0)
    return tag(
        "details", tag("summary", "The config as it was understood"), tag("pre", "\n".join(lines))
    )


def _yaml(value: object, depth: int) -> list[str]:
    """Write nested settings indented, for people; it is not meant to be read back."""
    pad = "  " * depth
    if isinstance(value, dict):
        found = []
        for key, inner in value.items():
            if isinstance(inner, dict | list) and inner:
                found += [f"{pad}{key}:", *_yaml(inner, depth + 1)]
            else:
                found.append(f"{pad}{key}: {_scalar(inner)}")
        return found
    if isinstance(value, list | tuple):
        return [line for item in value for line in _item(item, depth)]
    return [f"{pad}{_scalar(value)}"]


def _item(item: object, depth: int) -> list[str]:
    first, *rest = _yaml(item, depth + 1) or ["{}"]
    return [f"{'  ' * depth}- {first.strip()}", *rest]


def _scalar(value: object) -> str:
    return "null" if value is None else str(value)
