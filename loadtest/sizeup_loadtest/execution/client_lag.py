"""How late the client itself was: its event loop, and its sending."""

import asyncio
from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.execution.load_generator import sleep_until

INTERVAL_NS = 10_000_000
"""Between two looks at the loop: shorter than any gap between tokens that is worth measuring."""

MAX_SAMPLES = 2_000_000
"""Five hours and a half; 16 MB."""

_NS = 1e-9


class LoopLagSampler:
    """Samples of how late the loop woke a sleeper, in nanoseconds."""

    def __init__(self) -> None:
        """Begin without samples."""
        self.samples = array("q")
        self._spans: dict[str, list[slice]] = defaultdict(list)

    async def watch(self, clock: Callable[[], int]) -> None:
        """Sample until cancelled. A sample counts from when the sleeper was due.

        Every moment that passes while the loop stands still is a sample: a stall of a second would
        else be one late sample among hundreds that were on time.
        """
        due = clock() + INTERVAL_NS
        while len(self.samples) < MAX_SAMPLES:
            await sleep_until(due, clock)
            now = clock()
            missed = range(due, max(now, due) + 1, INTERVAL_NS)
            self.samples.extend(max(0, now - moment) for moment in missed)
            due += len(missed) * INTERVAL_NS

    def lag(self) -> Lag | None:
        """Sum up the samples so far."""
        return lag_of(self.samples)

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Count what is sampled while the block runs to a stage, as well as to the whole."""
        begin = len(self.samples)
        try:
            yield
        finally:
            self._spans[stage].append(slice(begin, len(self.samples)))

    def stages(self) -> Mapping[str, Lag]:
        """Sum up the samples of every stage that has any."""
        each = {
            stage: [sample for span in spans for sample in self.samples[span]]
            for stage, spans in self._spans.items()
        }
        return {stage: lag for stage, found in each.items() if (lag := lag_of(found)) is not None}


@asynccontextmanager
async def sample_loop_lag(clock: Callable[[], int]) -> AsyncIterator[LoopLagSampler]:
    """Watch the running loop for as long as the block runs."""
    lag = LoopLagSampler()
    task = asyncio.create_task(lag.watch(clock))
    try:
        yield lag
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def send_lag(records: Iterable[Record]) -> Lag | None:
    """Return how late open-loop requests were sent; None when there were none."""
    return lag_of([r.sent_ns - r.scheduled_ns for r in records if r.planned.offset_ns is not None])


def lag_of(samples_ns: Sequence[int]) -> Lag | None:
    """Sum up samples, by nearest rank; None for no samples."""
    if not samples_ns:
        return None
    ordered = sorted(samples_ns)
    return Lag(
        n=len(ordered),
        p50=_rank(ordered, 0.5) * _NS,
        p99=_rank(ordered, 0.99) * _NS,
        high=ordered[-1] * _NS,
    )


def _rank(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
