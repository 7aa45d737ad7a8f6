"""Decode speed of several inference processes in turn and at once.

    python benchmarks/side_by_side.py --processes 3
    python benchmarks/side_by_side.py --processes 3 --wait-policy active

Every process serves the same model with random weights, one stream each. Ideally the processes
together generate as many tokens per second at once as each does in turn, and a token takes as many
times longer as there are processes. `--busy` adds processes that only use a core. Rounds alternate
between both modes, so that other load on the machine affects both alike; printed are medians.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from make_model import make
from shapes import SHAPES

_START_SECONDS = 300.0
_PROMPT = [1, 5, 9, 13] * 16
"""64 tokens."""
_BUSY = (sys.executable, "-c", "while True: pass")


async def generate(http: aiohttp.ClientSession, url: str, tokens: int) -> list[float]:
    """Return the arrival time of each token in seconds."""
    body = {
        "prompt": {"kind": "tokens", "token_ids": _PROMPT},
        "max_tokens": tokens,
        "ignore_eos": True,
        "sampling": {"temperature": 0},
    }
    times = []
    async with http.post(f"{url}/internal/v1/generate", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            event = json.loads(line)
            if event["event"] == "failed":
                raise SystemExit(f"{url}: {event['message']}")
            if event["event"] == "text":
                times.append(time.perf_counter())
    return times


class Mode:
    """The measurements of one mode."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rates: list[float] = []
        self.gaps: list[float] = []

    def add(self, streams: Sequence[Sequence[float]], seconds: float) -> None:
        """Add a round: the token times of each stream, and the duration of all."""
        self.rates.append(sum(len(times) for times in streams) / seconds)
        for times in streams:
            self.gaps += [later - earlier for earlier, later in pairwise(times)]

    @property
    def rate(self) -> float:
        """Tokens per second of all streams together."""
        return median(self.rates)

    def __str__(self) -> str:
        p50, p99 = median(self.gaps) * 1e3, quantiles(self.gaps, n=100)[98] * 1e3
        return f"{self.name:8} {self.rate:8.1f} tokens/s   ITL p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"


async def measure(urls: Sequence[str], rounds: int, tokens: int) -> None:
    """Measure both modes and print them."""
    in_turn, at_once = Mode("in turn"), Mode("at once")
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        for _ in range(rounds):
            started = time.perf_counter()
            streams = [await generate(http, url, tokens) for url in urls]
            in_turn.add(streams, time.perf_counter() - started)
            started = time.perf_counter()
            streams = list(await asyncio.gather(*(generate(http, u, tokens) for u in urls)))
            at_once.add(streams, time.perf_counter() - started)
    print(in_turn, at_once, f"ratio    {at_once.rate / in_turn.rate:8.2f}", sep="\n")


@contextlib.contextmanager
def started(folder: Path, count: int, wait_policy: str | None) -> Iterator[list[str]]:
    """Run inference processes for the duration of the block; yield their URLs."""
    processes, urls = [], []
    try:
        for _ in range(count):
            port = _free_port()
            environment = os.environ | {  # noqa: TID251  # passed on to the children
                "SIZEUP_INFERENCE_MODEL": str(folder),
                "SIZEUP_INFERENCE_MODEL_ID": "bench",
                "SIZEUP_INFERENCE_PORT": str(port),
                "SIZEUP_INFERENCE_MAX_MODEL_LEN": "1024",
            }
            if wait_policy is not None:
                environment["OMP_WAIT_POLICY"] = wait_policy
            argv = [sys.executable, "-m", "sizeup_inference"]
            processes.append(subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL))
            urls.append(f"http://127.0.0.1:{port}")
        yield urls
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


async def until_ready(urls: Sequence[str]) -> None:
    """Wait until every process has generated its first token."""
    deadline = time.monotonic() + _START_SECONDS
    async with aiohttp.ClientSession() as http:
        for url in urls:
            while not await _is_ready(http, url):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{url} is not ready")
                await asyncio.sleep(0.2)


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Use this many cores for the duration of the block."""
    processes = [subprocess.Popen(_BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def run(urls: Sequence[str], args: argparse.Namespace) -> None:
    """Wait for the processes, then measure beside the busy ones."""
    await until_ready(urls)
    with busy(args.busy):
        await measure(urls, args.rounds, args.tokens)


def main() -> None:
    """Parse the command line, create the model and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="processes that only use a core")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--wait-policy", choices=["active", "passive"], help="OMP_WAIT_POLICY; default: sizeup's"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / args.shape
        make(folder, args.shape, "bfloat16")
        with started(folder, args.processes, args.wait_policy) as urls:
            asyncio.run(run(urls, args))


if __name__ == "__main__":
    main()
