"""Metrics of requests, summarised over the blocks of a stage. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import Distribution, Estimate

Blocks = Sequence[Sequence[Record]]
Metric = Callable[[Record], float | None]


def by_block(records: Iterable[Record]) -> list[list[Record]]:
    """Group records by block, in order."""
    block = attrgetter("planned.block")
    return [list(group) for _, group in groupby(sorted(records, key=block), key=block)]


def by_stage(records: Iterable[Record]) -> Mapping[tuple[str, str], Sequence[Record]]:
    """Group records by model and stage, with preload requests, which no metric uses."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        found[record.planned.model, record.stage].append(record)
    return found


def distribution(blocks: Blocks, metric: Metric) -> Distribution | None:
    """Summarise a metric over the requests for which it is defined."""
    return intervals.distribution(_values(blocks, metric))


def mean(blocks: Blocks, metric: Metric) -> Estimate | None:
    """Estimate the mean of a metric over the requests that succeeded."""
    ok = [[record for record in block if record.outcome is Outcome.OK] for block in blocks]
    return intervals.mean_estimate(_values(ok, metric))


def _values(blocks: Blocks, metric: Metric) -> list[list[float]]:
    return [[v for record in block if (v := metric(record)) is not None] for block in blocks]
