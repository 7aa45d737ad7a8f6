"""Compare two gateways in front of one fake engine: added latency, and tokens per second.

    python benchmarks/gateway_overhead.py --a OLD/.venv/bin/python --b NEW/.venv/bin/python

A and B are Python interpreters with a gateway installed, or base URLs of running gateways (then
with `--inference`, the URL of the process behind both). Rounds alternate between the two, so that
other load on the machine affects both alike; printed are medians over the rounds, and B's result in
relation to A's (above 1 is better). Latency is given as median and as 10th percentile, which other
load affects less. CPU time is that of the gateway's process (Linux, interpreters only): on a busy
machine it is the most reliable figure. Compare A with itself to see the noise.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import aiohttp

MODEL = "bench:1"
_START_SECONDS = 60.0


@dataclass(slots=True)
class Gateway:
    """One of the two, and its results per round."""

    name: str
    url: str
    pid: int | None = None
    latency: list[float] = field(default_factory=list)
    """Median seconds of a request for one token."""
    low_latency: list[float] = field(default_factory=list)
    """10th percentile of the same."""
    request_cpu: list[float] = field(default_factory=list)
    tokens_per_second: list[float] = field(default_factory=list)
    token_cpu: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process's main thread so far; 0 without a process."""
        if self.pid is None:
            return 0.0
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextlib.contextmanager
def process(python: str, module: str, **settings: object) -> Iterator[int]:
    """Run a service; yield its process id."""
    own = [f"{module.upper()}_{name.upper()}={value}" for name, value in settings.items()]
    command = ["env", *own, python, "-m", module]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            yield running.pid
        finally:
            running.terminate()


@contextlib.contextmanager
def inference() -> Iterator[str]:
    """Run an inference process with the fake engine at its highest pace; yield its URL."""
    port = free_port()
    with process(
        sys.executable,
        "sizeup_inference",
        model="bench",
        engine="fake",
        fake_token_seconds=0,
        port=port,
    ):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def gateway(name: str, target: str, replica: str) -> Iterator[Gateway]:
    """Yield a running gateway, or run the one that an interpreter has installed."""
    if target.startswith("http"):
        yield Gateway(name, target.rstrip("/"))
        return
    port = free_port()
    entry = {"id": "bench", "names": [MODEL], "replicas": [replica]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as catalog:
        json.dump({"models": {"bench": entry}}, catalog)
        catalog.flush()
        with process(target, "sizeup_gateway", catalog=catalog.name, port=port) as pid:
            yield Gateway(name, f"http://127.0.0.1:{port}", pid)


async def chat(http: aiohttp.ClientSession, url: str, model: str, tokens: int, stream: bool) -> int:
    """Run one request and return the number of chunks received."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
        "max_tokens": tokens,
        "ignore_eos": True,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as response:
        content = await response.read()
        if response.status != 200 or b'"finish_reason":"length"' not in content:
            raise RuntimeError(f"{url}: {response.status} {content[-200:]!r}")
        return content.count(b"data: {")


async def wait_until_ready(http: aiohttp.ClientSession, url: str, model: str) -> None:
    """Wait until a gateway serves the model."""
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError, RuntimeError):
                await chat(http, url, model, 1, stream=False)
                return
            await asyncio.sleep(0.2)


async def measure_latency(
    http: aiohttp.ClientSession, gateways: Sequence[Gateway], model: str, requests: int
) -> None:
    """Send requests one after another, alternating between the gateways."""
    seconds: dict[str, list[float]] = {one.name: [] for one in gateways}
    cpu = {one.name: -one.cpu_seconds() for one in gateways}
    for i in range(requests):
        for one in gateways if i % 2 else gateways[::-1]:
            started = perf_counter()
            await chat(http, one.url, model, 1, stream=False)
            seconds[one.name].append(perf_counter() - started)
    for one in gateways:
        one.latency.append(median(seconds[one.name]))
        one.low_latency.append(quantiles(seconds[one.name], n=10)[0])
        one.request_cpu.append((cpu[one.name] + one.cpu_seconds()) / requests)


async def measure_streams(
    http: aiohttp.ClientSession, one: Gateway, model: str, streams: int, tokens: int
) -> None:
    """Run concurrent streams through one gateway."""
    started, cpu = perf_counter(), one.cpu_seconds()
    counts = await asyncio.gather(
        *[chat(http, one.url, model, tokens, stream=True) for _ in range(streams)]
    )
    one.tokens_per_second.append(sum(counts) / (perf_counter() - started))
    one.token_cpu.append((one.cpu_seconds() - cpu) / sum(counts))


async def direct_latency(http: aiohttp.ClientSession, url: str, requests: int) -> list[float]:
    """Return the seconds of the same requests without a gateway."""
    prompt = {"kind": "chat", "messages": [{"role": "user", "content": "hi"}]}
    seconds = []
    for _ in range(requests):
        started = perf_counter()
        body = {"prompt": prompt, "max_tokens": 1, "ignore_eos": True}
        async with http.post(f"{url}/internal/v1/generate", json=body) as response:
            await response.read()
        seconds.append(perf_counter() - started)
    return seconds


async def compare(
    gateways: Sequence[Gateway], replica: str, args: argparse.Namespace
) -> list[float]:
    """Run all rounds; return the latencies without a gateway."""
    direct: list[float] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        for one in gateways:
            await wait_until_ready(http, one.url, args.model)
        for i in range(args.rounds):
            direct.extend(await direct_latency(http, replica, args.requests))
            await measure_latency(http, gateways, args.model, args.requests)
            for one in gateways if i % 2 else gateways[::-1]:
                await measure_streams(http, one, args.model, args.streams, args.tokens)
    return direct


def show(name: str, a: float, b: float, unit: str, *, higher_is_better: bool = False) -> None:
    """Print one row."""
    ratio = (b / a if higher_is_better else a / b) if a and b else 1.0
    print(f"{name:28} {a:10.3f} {b:10.3f} {unit:9} {ratio:6.3f}")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--a", required=True, help="interpreter or base URL")
    parser.add_argument("--b", required=True, help="interpreter or base URL")
    parser.add_argument("--inference", help="URL of the process behind running gateways")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=200, help="per round, one at a time")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=100, help="per stream")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        replica = args.inference or stack.enter_context(inference())
        a, b = (stack.enter_context(gateway(n, getattr(args, n), replica)) for n in ("a", "b"))
        direct = asyncio.run(compare([a, b], replica, args))
    added_a, added_b = (1000 * (median(one.latency) - median(direct)) for one in (a, b))
    low = quantiles(direct, n=10)[0]
    low_a, low_b = (1000 * (median(one.low_latency) - low) for one in (a, b))
    print(f"{'':28} {'A':>10} {'B':>10} {'':9} {'ratio':>6}")
    show("added latency", added_a, added_b, "ms")
    show("added latency, p10", low_a, low_b, "ms")
    show("CPU per request", 1000 * median(a.request_cpu), 1000 * median(b.request_cpu), "ms")
    show(
        f"{args.streams} streams",
        median(a.tokens_per_second),
        median(b.tokens_per_second),
        "tokens/s",
        higher_is_better=True,
    )
    show("CPU per token", 1e6 * median(a.token_cpu), 1e6 * median(b.token_cpu), "us")


if __name__ == "__main__":
    main()
