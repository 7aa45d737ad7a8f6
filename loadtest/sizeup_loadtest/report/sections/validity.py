"""Whether the figures can be trusted, and why not."""

from collections import Counter
from collections.abc import Iterator, Mapping

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Lag, Results
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, cells
from sizeup_loadtest.report.tables import Cell, Row, blank, table

_NO_LIMIT = "no limit in the config"


def banner(results: Results) -> Markup | None:
    """Return the warning that stands above everything when figures must not be used."""
    told = "This run is invalid: do not use its figures."
    reasons = results.validity.reasons
    if results.validity.valid:
        told = "Do not use the figures of these sizes; the others' stand."
        reasons = tuple(f"{m.name}: {m.broken}" for m in results.models if m.broken)
        if not reasons:
            return None
    listed = tag("ul", *(tag("li", reason) for reason in reasons))
    return tag("div", tag("strong", told), listed, class_="banner", role="alert")


def section(results: Results) -> ConfigSection:
    """Return what was checked, with its limits."""
    seen = results.validity
    worst = seen.worst_stage
    limits = results.config.get("limits")
    allowed = limits if isinstance(limits, Mapping) else {}
    rows = [
        _lag("Sending was late by", seen.send_lag, allowed.get("max_send_lag_seconds"),
             "only open loop has a schedule to be late for"),
        _lag("The client's event loop woke late by", seen.loop_lag,
             allowed.get("max_loop_lag_seconds"), "not measured"),
        _lag(f"The same in its worst stage{f', {worst}' if worst else ''}", seen.worst_stage_lag,
             allowed.get("max_loop_lag_seconds"), "no stage was long enough for a p99"),
        _errors(results, allowed.get("max_error_share")),
    ]  # fmt: skip
    checked = table(("Check", "Median", "p99", "Largest", "Allowed"), rows, "What was checked")
    word = "valid" if seen.valid else "invalid"
    return ConfigSection(
        "validity",
        "Can these figures be trusted?",
        "Validity",
        f"This run is {word}. A client that is late or busy measures itself and not the server.",
        join((_list("Why it is invalid", seen.reasons), checked, _outcomes(results),
              _list("Warnings", seen.warnings), _list("Left blank", tuple(_left_blank(results))))),
    )  # fmt: skip


def _lag(name: str, lag: Lag | None, limit: object, reason: str) -> Row:
    most = (
        Cell(f"p99 ≤ {formatting.seconds(float(limit))}")
        if isinstance(limit, int | float)
        else None
    )
    end = most or blank(_NO_LIMIT)
    if lag is None:
        return Row(name, (*(blank(reason),) * 3, end))
    values = (lag.p50, lag.p99, lag.high)
    return Row(name, (*(Cell(formatting.seconds(v)) for v in values), end), detail=f"n = {lag.n}")


def _errors(results: Results, limit: object) -> Row:
    none = blank("a share has no distribution")
    most = Cell(f"≤ {formatting.percent(float(limit))}") if isinstance(limit, int | float) else None
    share = Cell(formatting.percent(results.validity.error_share))
    return Row("Requests that failed, of all", (share, none, none, most or blank(_NO_LIMIT)))


def _outcomes(results: Results) -> Markup:
    rows = []
    for i, model in enumerate(results.models):
        errors: Counter[str] = Counter()
        for stage in model.stages:
            errors.update(stage.errors)
        sources = {s.counted_by for s in model.stages} - {None}
        told = ", ".join(f"{n} {kind}" for kind, n in errors.most_common()) or "none"
        source = ", ".join(sorted(str(s) for s in sources))
        rows.append(
            Row(
                model.name,
                (
                    Cell(str(sum(s.n for s in model.stages))),
                    Cell(told),
                    Cell(source) if source else blank("no tokens were counted"),
                ),
                class_=f"s{i}",
            )
        )
    heads = ("Size", "Requests", "Errors by kind", "Tokens counted by")
    return table(heads, rows, "Requests, errors, and where token counts come from")


def _left_blank(results: Results) -> Iterator[str]:
    """Say which percentiles of the first token n was too small for."""
    seen = [s for m in results.models for s in m.stages if s.ttft is not None]
    for point in (50, 90, 95, 99):
        few = [s.ttft.n for s in seen if s.ttft and getattr(s.ttft, f"p{point}") is None]
        if few:
            many = f"{min(few)} to {max(few)}" if min(few) < max(few) else str(min(few))
            yield f"{cells.few(point)}; {len(few)} of {len(seen)} stages have {many}"


def _list(title: str, items: tuple[str, ...]) -> Markup | None:
    if not items:
        return None
    return join((tag("h3", title), tag("ul", *(tag("li", item) for item in items))))
