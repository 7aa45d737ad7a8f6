"""Latency by phase, from the durations that Ollama's API reports. Pure."""

from collections.abc import Callable, Mapping, Sequence

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import Distribution, LatencyBreakdown

_NS = 1e-9


def breakdown(blocks: Mapping[int, Sequence[Record]]) -> LatencyBreakdown | None:
    """Split the latency of requests for which the server reported durations."""

    def part(of: Callable[[Record], int]) -> Distribution | None:
        known = {
            b: [of(r) * _NS for r in group if r.server is not None and r.outcome is Outcome.OK]
            for b, group in blocks.items()
        }
        return intervals.distribution(known)

    load = part(lambda r: r.server.load if r.server else 0)
    prefill = part(lambda r: r.server.prompt_eval if r.server else 0)
    decode = part(lambda r: r.server.eval if r.server else 0)
    queue = part(_queue_ns)
    if load is None or prefill is None or decode is None or queue is None:
        return None
    return LatencyBreakdown(load=load, queue=queue, prefill=prefill, decode=decode)


def _queue_ns(record: Record) -> int:
    """Return what the server's durations leave of the latency: queueing and network."""
    if record.server is None:
        return 0
    spent = record.server.load + record.server.prompt_eval + record.server.eval
    return max(0, record.ended_ns - record.sent_ns - spent)
