"""Two models request by request: the same prompt in the same block. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import latency, throughput
from sizeup_loadtest.analysis.stages.blocks import Metric, by_block
from sizeup_loadtest.analysis.stages.latency import e2e, tpot, ttft
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Estimate, Paired


def paired(
    a: str, b: str, stage: str | None, of_a: Iterable[Record], of_b: Iterable[Record]
) -> Paired:
    """Compare two models by request: the same prompt in the same block; ratios are b / a."""
    first, second = _by_request(of_a), _by_request(of_b)
    pairs = [(key, first[key], second[key]) for key in sorted(first.keys() & second.keys())]

    def ratio(metric: Metric) -> Estimate | None:
        ratios: dict[int, list[float]] = defaultdict(list)
        for (block, _), one, other in pairs:
            below, above = metric(one), metric(other)
            if below and above:
                ratios[block].append(above / below)
        return intervals.geometric_mean([*ratios.values()])

    return Paired(
        a=a, b=b, stage=stage, tpot_ratio=ratio(tpot), ttft_ratio=ratio(ttft), e2e_ratio=ratio(e2e)
    )


def _by_request(records: Iterable[Record]) -> dict[tuple[int, int], Record]:
    """Index the steady-state records of a stage by block and index, which all models share."""
    result: dict[tuple[int, int], Record] = {}
    for block in by_block(record for record in records if not record.planned.warm_up):
        first = block[0].planned
        if first.offset_ns is None:
            steady = [(first.block, throughput.without_ramps(block))]
        else:
            steady = [*enumerate(part.arrivals for part in latency.open_parts(block))]
        for number, group in steady:
            result |= {(number, record.planned.index): record for record in group}
    return result
