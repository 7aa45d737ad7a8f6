"""Samples the lag of the client's event loop."""

import asyncio
from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from sizeup_loadtest.analysis.validity import lag_of
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.execution.sending.clock import sleep_until

INTERVAL_NS = 10_000_000
"""Between samples: shorter than any inter-token latency worth measuring."""

MAX_SAMPLES = 2_000_000
"""Five and a half hours; 16 MB."""


class LoopLagSampler:
    """Wake-up delays of the event loop, in nanoseconds."""

    def __init__(self) -> None:
        self.samples = array("q")
        self._spans: dict[str, list[slice]] = defaultdict(list)
        self._workers: list[tuple[Lag | None, Mapping[str, Lag]]] = []

    async def watch(self, clock: Callable[[], int]) -> None:
        """Sample until cancelled.

        Every interval that passes while the loop is blocked is a sample: a stall of a second would
        otherwise be one late sample among hundreds that were on time.
        """
        due = clock() + INTERVAL_NS
        while len(self.samples) < MAX_SAMPLES:
            await sleep_until(due, clock)
            now = clock()
            missed = range(due, max(now, due) + 1, INTERVAL_NS)
            self.samples.extend(max(0, now - at_ns) for at_ns in missed)
            due += len(missed) * INTERVAL_NS

    def add_worker(self, run: Lag | None, stages: Mapping[str, Lag]) -> None:
        """Add the event loop of a worker that has ended."""
        self._workers.append((run, stages))

    def lag(self) -> Lag | None:
        """Summarise the run; with workers, each value is that of the worst event loop."""
        return worst([lag_of(self.samples), *(run for run, _ in self._workers)])

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Attribute the samples of the block to a stage."""
        begin = len(self.samples)
        try:
            yield
        finally:
            self._spans[stage].append(slice(begin, len(self.samples)))

    def stages(self) -> Mapping[str, Lag]:
        """Summarise the samples of every stage that has any."""
        lags: dict[str, list[Lag | None]] = defaultdict(list)
        for stage, spans in self._spans.items():
            lags[stage].append(lag_of([at for span in spans for at in self.samples[span]]))
        for _, stages in self._workers:
            for stage, of_worker in stages.items():
                lags[stage].append(of_worker)
        return {s: lag for s, known in lags.items() if (lag := worst(known)) is not None}


def worst(lags: Sequence[Lag | None]) -> Lag | None:
    """Return the maximum of each value; None without any. Percentiles cannot be averaged."""
    known = [lag for lag in lags if lag is not None]
    if not known:
        return None
    return Lag(
        n=sum(lag.n for lag in known),
        p50=max(lag.p50 for lag in known),
        p99=max(lag.p99 for lag in known),
        high=max(lag.high for lag in known),
    )


@asynccontextmanager
async def sample_loop_lag(clock: Callable[[], int]) -> AsyncIterator[LoopLagSampler]:
    """Sample the running loop during the block."""
    sampler = LoopLagSampler()
    task = asyncio.create_task(sampler.watch(clock))
    try:
        yield sampler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
