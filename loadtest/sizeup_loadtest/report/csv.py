"""A run as rows: a line per size, stage and figure, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterator, Sequence

from sizeup_loadtest.data.results import (
    Distribution,
    Estimate,
    ModelResult,
    Proportion,
    Results,
    StageResult,
)

HEADS = (
    "model", "stage", "mode", "level", "length", "figure", "unit", "value", "low", "high", "n"
)  # fmt: skip

Row = tuple[str, ...]


def render(results: Results) -> str:
    """Return the rows as CSV with a head."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADS)
    writer.writerows(rows(results))
    return out.getvalue()


def rows(results: Results) -> Iterator[Row]:
    """Yield every figure; what was not measured is an empty cell, never 0."""
    for model in results.models:
        yield from _of_size(model)
        for stage in model.stages:
            yield from _of_stage(model, stage)


def _of_size(model: ModelResult) -> Iterator[Row]:
    where = (model.name, "", "", "", "")
    model_info, cost, capacity, ability = model.model_info, model.cost, model.capacity, model.ability
    told = model.load_source == "server"
    plain: Sequence[tuple[str, str, float | None]] = (
        ("parameters", "", model_info.parameters),
        ("layers", "", model_info.layers),
        ("weights", "bytes", model_info.weight_bytes),
        ("memory", "bytes", model_info.memory_bytes),
        ("device_memory", "bytes", model_info.device_bytes),
        ("load_seen", "s", None if told else model.load_seconds),
        ("load_told", "s", model.load_seconds if told else None),
        ("bound", "tokens/s", model.bound_tok_s),
        ("capacity", "load", capacity.max_load if capacity else None),
        ("knee", "load", capacity.knee if capacity else None),
        ("effective_parallelism", "", capacity.effective_parallelism if capacity else None),
        ("price", "$/h", cost.price_per_hour if cost else None),
        ("cost_level", "load", cost.at_level if cost else None),
        ("cut_answers", "", ability.cut if ability else None),
    )
    for figure, unit, value in plain:
        yield _row(where, figure, unit, value)
    million = cost.per_million_output_tokens if cost else None
    yield _estimate(where, "cost_per_million_tokens", "$", million, None)
    right = cost.per_correct_answer if cost else None
    yield _estimate(where, "cost_per_correct_answer", "$", right, None)
    yield _share(where, "ability", ability.overall if ability else None)
    for kind in ability.kinds if ability else ():
        yield _share(where, f"ability/{kind.kind}/{kind.level}", kind.score)
    for suite, score in model.suites.items():
        yield _row(where, f"suite/{suite}", "share", score.value, score.n)
        yield _row(where, f"suite/{suite}/stderr", "share", score.stderr, score.n)


def _of_stage(model: ModelResult, stage: StageResult) -> Iterator[Row]:
    where = (model.name, stage.stage, stage.mode, f"{stage.level:g}", stage.length)
    yield _row(where, "requests", "", stage.n)
    yield _row(where, "errors", "", sum(stage.errors.values()))
    estimates: Sequence[tuple[str, str, Estimate | None]] = (
        ("prompt_tokens", "tokens", stage.prompt_tokens),
        ("completion_tokens", "tokens", stage.completion_tokens),
        ("tok_s_user", "tokens/s", stage.tok_s_user),
        ("out_tok_s", "tokens/s", stage.out_tok_s),
        ("requests_s", "requests/s", stage.requests_s),
        ("goodput", "requests/s", stage.goodput),
    )
    for figure, unit, estimate in estimates:
        yield _estimate(where, figure, unit, estimate, stage.n)
    yield _share(where, "attainment", stage.attainment)
    for figure in ("ttft", "ttft_sched", "itl", "tpot", "e2e", "e2e_sched", "norm_latency"):
        yield from _times(where, figure, getattr(stage, figure))
    if stage.breakdown is not None:
        for part in ("load", "queue", "prefill", "decode"):
            yield from _times(where, f"split/{part}", getattr(stage.breakdown, part))


def _times(where: Row, figure: str, seen: Distribution | None) -> Iterator[Row]:
    n = seen.n if seen else None
    yield _estimate(where, f"{figure}/mean", "s", seen.mean if seen else None, n)
    for point in ("p50", "p90", "p95", "p99"):
        yield _row(where, f"{figure}/{point}", "s", getattr(seen, point) if seen else None, n)


def _estimate(where: Row, figure: str, unit: str, seen: Estimate | None, n: int | None) -> Row:
    if seen is None:
        return _row(where, figure, unit, None, n)
    return (*_cells(where, figure, unit), _number(seen.value), _number(seen.low),
            _number(seen.high), _number(n))  # fmt: skip


def _share(where: Row, figure: str, seen: Proportion | None) -> Row:
    if seen is None:
        return _row(where, figure, "share", None)
    return (*_cells(where, figure, "share"), _number(seen.value), _number(seen.low),
            _number(seen.high), str(seen.n))  # fmt: skip


def _row(where: Row, figure: str, unit: str, value: float | None, n: int | None = None) -> Row:
    return (*_cells(where, figure, unit), _number(value), "", "", _number(n))


def _cells(where: Row, figure: str, unit: str) -> Row:
    return tuple(_inert(text) for text in (*where, figure, unit))


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
