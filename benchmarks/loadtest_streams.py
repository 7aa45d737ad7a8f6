"""Measure the lag of one client process with many concurrent streams.

    python benchmarks/loadtest_streams.py [--streams 1000] [--tokens 100] [--gap 0.1]

The mock server runs in another process. Requests arrive at a constant rate until all streams are
open. Prints event loop lag, send lag, and the time from writing a chunk on the server to reading it
in the client (one machine, one clock).
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from time import perf_counter_ns, process_time

from mock_process import mock_process
from sizeup_loadtest.analysis import validity
from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config, Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.execution.sending import client_lag, load_generator
from sizeup_loadtest.execution.sending.load_generator import SendContext, Share
from sizeup_loadtest.workload import schedule
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

MODEL = "mock:1b"
GOAL_SECONDS = 0.05
"""Event loop lag at p99: half the inter-token latency of the streams."""
_DEADLINE_NS = 600 * 10**9


class NullObserver:
    """Ignores every event."""

    def sent(self, request: Request) -> None:
        """Ignore it."""

    def ended(self, record: Record) -> None:
        """Ignore it."""


def lay_out(args: argparse.Namespace) -> tuple[Segment, dict[str, Prompt]]:
    """Plan one request per stream, at a constant rate over the ramp."""
    config = Config(models=(ModelConfig(name=MODEL),), max_tokens=args.tokens, length="fixed")
    stage = Stage("streams", "open", args.streams / args.ramp, "fixed", "constant")
    prompts = [Prompt(f"p{i}", (ChatMessage("user", f"stream {i}"),)) for i in range(args.streams)]
    return schedule.build_segment(config, stage, MODEL, prompts), {p.key: p for p in prompts}


async def measure(url: str, args: argparse.Namespace) -> tuple[list[Record], Lag | None, str]:
    """Run all streams; return their records, the event loop lag, and the server's times."""
    segment, prompts = lay_out(args)
    server = Server(url, MODEL, timeout_seconds=_DEADLINE_NS / 1e9)
    async with Client({MODEL: server}, Sampling(), perf_counter_ns) as client:
        now = perf_counter_ns()
        share = Share(segment, prompts, now, now + _DEADLINE_NS, lambda planned: False)
        context = SendContext(client.send, NullObserver(), perf_counter_ns)
        async with client_lag.sample_loop_lag(perf_counter_ns) as watched:
            records = await load_generator.run_segment(share, context)
        async with client.session.get(f"{url}/truth") as response:
            return records, watched.lag(), await response.text()


def most_at_once(records: Sequence[Record]) -> int:
    """Return the maximum number of concurrent requests."""
    steps = [(r.sent_ns, 1) for r in records] + [(r.ended_ns, -1) for r in records]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def delays(records: Sequence[Record], truth: str) -> Lag | None:
    """Return the times from writing chunks to reading them."""
    written = {answer["prompt"]: answer["written_ns"] for answer in json.loads(truth)}
    return validity.lag_of(
        [
            read - wrote
            for record in records
            for read, wrote in zip(
                record.chunk_ns, written[f"stream {record.planned.index}"], strict=False
            )
        ]
    )


def show(name: str, found: Lag | None) -> None:
    """Print one row."""
    if found is not None:
        times = (found.p50, found.p99, found.high)
        print(f"{name:14} n {found.n:7d}  " + "  ".join(f"{t * 1000:8.2f}" for t in times))


def main() -> int:
    """Run, print, and return 1 when a stream is incomplete or the lag too high."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--gap", type=float, default=0.1, help="seconds between tokens")
    parser.add_argument("--ramp", type=float, default=4.0, help="seconds until all have been sent")
    args = parser.parse_args()
    options = [f"--parallel={args.streams}", f"--gap-seconds={args.gap}", "--ttft-seconds=0.5"]
    started = process_time()
    with mock_process(options) as url:
        records, loop, truth = asyncio.run(measure(url, args))
    whole = [
        r
        for r in records
        if r.outcome is Outcome.OK and r.completion_tokens == len(r.chunk_ns) == args.tokens
    ]
    chunks = sum(len(r.chunk_ns) for r in records)
    seconds = (max(r.ended_ns for r in records) - min(r.sent_ns for r in records)) / 1e9
    print(f"{len(whole)} of {len(records)} streams complete, {most_at_once(records)} at once")
    print(f"{chunks} chunks in {seconds:.1f} s, {chunks / seconds:.0f} a second")
    print(f"{process_time() - started:.1f} s of this process's CPU time")
    print("milliseconds                   p50       p99       max")
    show("loop lag", loop)
    show("send lag", validity.send_lag(records))
    show("written-read", delays(records, truth))
    late = loop is None or loop.p99 > GOAL_SECONDS
    return 1 if len(whole) < args.streams or late else 0


if __name__ == "__main__":
    sys.exit(main())
