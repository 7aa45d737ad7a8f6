"""Latency by phase, from the durations that Ollama's API reports. Pure."""

from collections.abc import Callable, Mapping

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages.blocks import Blocks
from sizeup_loadtest.data.record import Outcome, Record, ServerTimes
from sizeup_loadtest.data.results import LatencyBreakdown

_NS = 1e-9


def _queue(record: Record, times: ServerTimes) -> int:
    """Return what the server's durations leave of the latency: queueing and network."""
    spent = times.load + times.prompt_eval + times.eval
    return max(0, record.ended_ns - record.sent_ns - spent)


_PHASES: Mapping[str, Callable[[Record, ServerTimes], int]] = {
    "load": lambda _, times: times.load,
    "queue": _queue,
    "prefill": lambda _, times: times.prompt_eval,
    "decode": lambda _, times: times.eval,
}


def breakdown(blocks: Blocks) -> LatencyBreakdown | None:
    """Split the latency of requests for which the server reported durations."""
    timed = [
        [(r, r.server) for r in block if r.server is not None and r.outcome is Outcome.OK]
        for block in blocks
    ]
    if not any(timed):
        return None
    return LatencyBreakdown.model_validate({
        name: intervals.distribution([[phase(*one) * _NS for one in block] for block in timed])
        for name, phase in _PHASES.items()
    })  # fmt: skip
