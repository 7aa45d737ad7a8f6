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


def render(results: Results) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADS)
    writer.writerows(rows(results))
    return out.getvalue()


def rows(results: Results) -> Iterator[CsvRow]:
    """Yield every metric; the value of an unmeasured one is empty, never 0."""
    checks = text.checks(results.verdict)
    for model in results.models:
        yield from _model(model, checks.get(model.name))
        for stage in model.stages:
            yield from _stage(model, stage)


def _model(model: ModelResult, check: RequirementCheck | None) -> Iterator[CsvRow]:
    key = (model.name, "", "", "", "")
    info, cost, capacity, ability = model.model_info, model.cost, model.capacity, model.ability
    reported = model.load_source == "server"
    load = _LOADS[capacity.mode if capacity else None]
    cost_load = _LOADS[cost.at_mode if cost else None]
    values: Sequence[tuple[str, str, float | None]] = (
        ("meets_requirements", "", None if check is None else _number(check.passes)),
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
    )
    for metric, unit, value in values:
        yield _row(key, metric, unit, value)
    million = cost.per_million_output_tokens if cost else None
    yield _estimate(key, "cost_per_million_tokens", "$", million)
    yield _estimate(key, "cost_per_correct_answer", "$", cost.per_correct_answer if cost else None)
    yield _proportion(key, "ability", ability.overall if ability else None)
    for kind in ability.kinds if ability else ():
        yield _proportion(key, f"ability/{kind.kind}/{kind.level}", kind.score)
    for suite, score in model.suites.items():
        yield _row(key, f"suite/{suite}", "fraction", score.value, n=score.n)
        yield _row(key, f"suite/{suite}/stderr", "fraction", score.stderr, n=score.n)


def _number(answer: bool | None) -> int | None:
    return None if answer is None else int(answer)


def _stage(model: ModelResult, stage: StageResult) -> Iterator[CsvRow]:
    key = (model.name, stage.stage, stage.mode, f"{stage.level:g}", stage.length)
    yield _row(key, "requests", "", stage.n)
    yield _row(key, "errors", "", sum(stage.errors.values()))
    estimates: Sequence[tuple[str, str, Estimate | None]] = (
        ("prompt_tokens", "tokens", stage.prompt_tokens),
        ("cached_tokens", "tokens", stage.cached_tokens),
        ("completion_tokens", "tokens", stage.completion_tokens),
        ("tok_s_user", "tokens/s", stage.tok_s_user),
        ("out_tok_s", "tokens/s", stage.out_tok_s),
        ("requests_s", "requests/s", stage.requests_s),
        ("goodput", "requests/s", stage.goodput),
    )
    for metric, unit, estimate in estimates:
        yield _estimate(key, metric, unit, estimate, stage.n)
    yield _proportion(key, "attainment", stage.attainment)
    for metric in _TIMES:
        yield from _times(key, metric, getattr(stage, metric))
    gauges = stage.server_metrics
    for name in ("queue", "kv_usage", "running") if gauges else ():
        seen = getattr(gauges, name)
        yield _row(key, f"server/{name}/mean", "", seen.mean if seen else None)
        yield _row(key, f"server/{name}/max", "", seen.max if seen else None)
    if stage.breakdown is not None:
        for part in ("load", "queue", "prefill", "decode"):
            yield from _times(key, f"breakdown/{part}", getattr(stage.breakdown, part))


def _times(key: CsvRow, metric: str, seen: Distribution | None) -> Iterator[CsvRow]:
    n = seen.n if seen else None
    yield _estimate(key, f"{metric}/mean", "s", seen.mean if seen else None, n)
    for point in ("p50", "p90", "p95", "p99"):
        yield _row(key, f"{metric}/{point}", "s", getattr(seen, point) if seen else None, n=n)


def _estimate(
    key: CsvRow, metric: str, unit: str, seen: Estimate | None, n: int | None = None
) -> CsvRow:
    if seen is None:
        return _row(key, metric, unit, None, n=n)
    return _row(key, metric, unit, seen.value, seen.low, seen.high, n)


def _proportion(key: CsvRow, metric: str, seen: Proportion | None) -> CsvRow:
    if seen is None:
        return _row(key, metric, "fraction", None)
    return _row(key, metric, "fraction", seen.value, seen.low, seen.high, seen.n)


def _row(
    key: CsvRow,
    metric: str,
    unit: str,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
) -> CsvRow:
    texts = tuple(_inert(text) for text in (*key, metric, unit))
    return (
        *texts,
        *(
            "" if v is None else f"{v:d}" if isinstance(v, bool) else repr(v)
            for v in (value, low, high, n)
        ),
    )


def _inert(text: str) -> str:
    """Keep a spreadsheet from evaluating a name as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
