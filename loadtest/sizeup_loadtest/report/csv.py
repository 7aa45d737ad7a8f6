"""The report as CSV: one row per model, stage and metric, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterator, Sequence

from sizeup_loadtest.data.results import (
    Distribution,
    Estimate,
    ModelResult,
    Proportion,
    RequirementCheck,
    Results,
    StageResult,
)
from sizeup_loadtest.report import text

HEADS = (
    "model", "stage", "mode", "level", "length", "metric", "unit", "value", "low", "high", "n"
)  # fmt: skip

_TIMES = (
    "ttft", "ttft_sched", "answer_ttft", "itl", "tpot", "e2e", "e2e_sched", "norm_latency"
)  # fmt: skip

_LOADS = {"closed": "users", "open": "requests/s", None: ""}
"""Units of loads."""

CsvRow = tuple[str, ...]
Value = float | Estimate | Proportion | None


def render(results: Results) -> str:
    """Return a row for every metric; the value of an unmeasured one is empty, never 0."""
    out, checks = io.StringIO(), text.checks(results.verdict)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADS)
    for model in results.models:
        writer.writerows(_model(model, checks.get(model.name)))
        for stage in model.stages:
            writer.writerows(_stage(model, stage))
    return out.getvalue()


def _model(model: ModelResult, check: RequirementCheck | None) -> Iterator[CsvRow]:
    key = (model.name, "", "", "", "")
    info, cost, capacity, ability = model.model_info, model.cost, model.capacity, model.ability
    reported = model.load_source == "server"
    load = _LOADS[capacity.mode if capacity else None]
    cost_load = _LOADS[cost.at_mode if cost else None]
    values: Sequence[tuple[str, str, Value]] = (
        ("meets_requirements", "", check.passes if check else None),
        ("parameters", "", info.parameters),
        ("layers", "", info.layers),
        ("weights", "bytes", info.weight_bytes),
        ("memory", "bytes", info.memory_bytes),
        ("device_memory", "bytes", info.device_bytes),
        ("load_cold_start", "s", None if reported else model.load_seconds),
        ("load_reported", "s", model.load_seconds if reported else None),
        ("bound", "tokens/s", model.bound_tok_s),
        ("max_load", load, capacity.max_load if capacity else None),
        ("knee", load, capacity.knee if capacity else None),
        ("effective_parallelism", "", capacity.effective_parallelism if capacity else None),
        ("price", "$/h", cost.price_per_hour if cost else None),
        ("cost_level", cost_load, cost.at_level if cost else None),
        ("truncated_answers", "", ability.truncated if ability else None),
        ("cost_per_million_tokens", "$", cost.per_million_output_tokens if cost else None),
        ("cost_per_correct_answer", "$", cost.per_correct_answer if cost else None),
        ("ability", "fraction", ability.overall if ability else None),
    )
    for metric, unit, value in values:
        yield _row(key, metric, unit, value)
    for kind in ability.kinds if ability else ():
        yield _row(key, f"ability/{kind.kind}/{kind.level}", "fraction", kind.score)
    for suite, score in model.suites.items():
        yield _row(key, f"suite/{suite}", "fraction", score.value, score.n)
        yield _row(key, f"suite/{suite}/stderr", "fraction", score.stderr, score.n)


def _stage(model: ModelResult, stage: StageResult) -> Iterator[CsvRow]:
    key = (model.name, stage.stage, stage.mode, f"{stage.level:g}", stage.length)
    yield _row(key, "requests", "", stage.n)
    yield _row(key, "errors", "", text.failures([stage]))
    estimates = (
        ("prompt_tokens", "tokens", stage.prompt_tokens),
        ("cached_tokens", "tokens", stage.cached_tokens),
        ("completion_tokens", "tokens", stage.completion_tokens),
        ("tok_s_user", "tokens/s", stage.tok_s_user),
        ("out_tok_s", "tokens/s", stage.out_tok_s),
        ("requests_s", "requests/s", stage.requests_s),
        ("goodput", "requests/s", stage.goodput),
    )
    for metric, unit, estimate in estimates:
        yield _row(key, metric, unit, estimate, stage.n)
    yield _row(key, "attainment", "fraction", stage.attainment)
    for metric in _TIMES:
        yield from _times(key, metric, getattr(stage, metric))
    for name in ("queue", "kv_usage", "running") if stage.server_metrics else ():
        seen = getattr(stage.server_metrics, name)
        yield _row(key, f"server/{name}/mean", "", seen.mean if seen else None)
        yield _row(key, f"server/{name}/max", "", seen.max if seen else None)
    for part, times in stage.breakdown or ():
        yield from _times(key, f"breakdown/{part}", times)


def _times(key: CsvRow, metric: str, seen: Distribution | None) -> Iterator[CsvRow]:
    n = seen.n if seen else None
    yield _row(key, f"{metric}/mean", "s", seen.mean if seen else None, n)
    for point in ("p50", "p90", "p95", "p99"):
        yield _row(key, f"{metric}/{point}", "s", getattr(seen, point) if seen else None, n)


def _row(key: CsvRow, metric: str, unit: str, seen: Value, n: int | None = None) -> CsvRow:
    """Return a row; a proportion has an n of its own."""
    if isinstance(seen, Estimate | Proportion):
        n = seen.n if isinstance(seen, Proportion) else n
        numbers: Sequence[float | None] = (seen.value, seen.low, seen.high, n)
    else:
        numbers = (seen, None, None, n)
    texts = ("" if v is None else f"{v:d}" if isinstance(v, bool) else repr(v) for v in numbers)
    return (*map(_inert, (*key, metric, unit)), *texts)


def _inert(text: str) -> str:
    """Keep a spreadsheet from evaluating a name as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
