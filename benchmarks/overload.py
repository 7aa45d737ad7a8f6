"""A gateway at several times its model's capacity: refusals, goodput, and the liveness probe.

    python benchmarks/overload.py [--factor 5] [--gateway OLD/.venv/bin/python]

The model is the fake engine with a number of slots and a time per token, so that its capacity is
known. First its peak is measured, with as many clients as it has slots. Then requests arrive at a
multiple of that rate whatever becomes of them (an open loop), alternately streamed in OpenAI's and
Ollama's dialect, while /livez is probed ten times a second on a connection of its own. Latencies
count from the time at which a request is due: where the client itself is late, that is printed too.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter

import aiohttp

from gateway_overhead import MODEL, free_port, process
from token_cpu import cpu_seconds

_TIMEOUT = aiohttp.ClientTimeout(total=120)


@dataclass(slots=True)
class Results:
    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    """Seconds from when a refused request was due."""
    served: list[float] = field(default_factory=list)
    incomplete: int = 0
    late: list[float] = field(default_factory=list)
    """Seconds by which the client was late to send."""
    ended_at: list[float] = field(default_factory=list)


def body_of(number: int, tokens: int) -> tuple[str, dict[str, object]]:
    fields: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "x" * tokens}],
        "stream": True,
    }
    if number % 2:
        return "/api/chat", {**fields, "options": {"num_predict": tokens}}
    return "/v1/chat/completions", {**fields, "max_tokens": tokens}


async def send(
    http: aiohttp.ClientSession, url: str, number: int, tokens: int, due: float, results: Results
) -> None:
    results.late.append(perf_counter() - due)
    path, body = body_of(number, tokens)
    try:
        async with http.post(url + path, json=body) as response:
            text = await response.read()
    except (aiohttp.ClientError, TimeoutError):
        results.statuses[0] += 1
        return
    seconds = perf_counter() - due
    results.statuses[response.status] += 1
    if response.status != 200:
        results.refused.append(seconds)
    elif b'"length"' in text:
        results.served.append(seconds)
        results.ended_at.append(perf_counter())
    else:
        results.incomplete += 1


async def peak(http: aiohttp.ClientSession, url: str, args: argparse.Namespace) -> float:
    """Return the requests per second of a closed loop with one client for each slot."""
    results, end = Results(), perf_counter() + args.seconds / 2

    async def client(number: int) -> None:
        while perf_counter() < end:
            await send(http, url, number, args.tokens, perf_counter(), results)

    started = perf_counter()
    await asyncio.gather(*(client(i) for i in range(args.slots)))
    return len(results.served) / (perf_counter() - started)


async def flood(
    http: aiohttp.ClientSession, url: str, rate: float, args: argparse.Namespace
) -> tuple[Results, float]:
    """Send at a rate; return the results and the requests served per second meanwhile."""
    results, begun = Results(), perf_counter()
    async with asyncio.TaskGroup() as group:
        for i in range(round(rate * args.seconds)):
            due = begun + i / rate
            if (pause := due - perf_counter()) > 0:
                await asyncio.sleep(pause)
            group.create_task(send(http, url, i, args.tokens, due, results))
    within = sum(at <= begun + args.seconds for at in results.ended_at)
    return results, within / args.seconds


async def probe(url: str, seconds: list[float], states: Counter[str]) -> None:
    """Probe liveness and the state of the model until cancelled."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        while True:
            begun = perf_counter()
            async with http.get(f"{url}/livez") as response:
                await response.read()
            seconds.append(perf_counter() - begun)
            async with http.get(f"{url}/v1/models") as response:
                states[(await response.json())["data"][0]["state"]] += 1
            await asyncio.sleep(0.1)


async def run(url: str, pid: int, args: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=0, force_close=args.new_connections)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http:
        await until_ready(http, url)
        best = await peak(http, url, args)
        lives: list[float] = []
        states: Counter[str] = Counter()
        probing = asyncio.create_task(probe(url, lives, states))
        cpu = cpu_seconds(pid)
        results, goodput = await flood(http, url, best * args.factor, args)
        cpu = cpu_seconds(pid) - cpu
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    show(best, goodput, results, lives, states, args)
    requests = results.statuses.total()
    print(f"gateway              {1000 * cpu / requests:8.2f} ms of CPU time per request")


async def until_ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{url}/v1/models") as response:
                    if (await response.json())["data"][0]["state"] == "ready":
                        return
            await asyncio.sleep(0.2)


def percentiles(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = quantiles(seconds, n=100)
    p50, p99, most = (1000 * value for value in (cuts[49], cuts[98], max(seconds)))
    return f"p50 {p50:.1f}, p99 {p99:.1f}, max {most:.1f} ms"


def show(
    best: float,
    goodput: float,
    results: Results,
    lives: Sequence[float],
    states: Counter[str],
    args: argparse.Namespace,
) -> None:
    print(f"peak                 {best:8.1f} requests/s")
    print(f"offered              {best * args.factor:8.1f} requests/s for {args.seconds:g} s")
    print(f"goodput              {goodput:8.1f} requests/s, {goodput / best:.2f} of the peak")
    print(f"responses            {dict(results.statuses)}, {results.incomplete} incomplete")
    print(f"refusals             {percentiles(results.refused)}")
    print(f"served               {percentiles(results.served)}")
    print(f"/livez               {percentiles(lives)}")
    print(f"state of the model   {dict(states)}")
    print(f"lateness of client   {percentiles(results.late)}")


@contextlib.contextmanager
def serving(args: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Run inference and a gateway; yield the URL and process id of the gateway."""
    replica, port = free_port(), free_port()
    settings = {
        "model": "bench",
        "engine": "fake",
        "fake_token_seconds": args.token_seconds,
        "max_num_seqs": args.slots,
        "max_waiting": args.slots,
        "port": replica,
        "log_level": "warning",
    }
    entry = {"id": "bench", "names": [MODEL], "replicas": [f"http://127.0.0.1:{replica}"]}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".yaml") as catalog,
        process(args.inference or args.gateway, "sizeup_inference", **settings),
    ):
        json.dump({"models": {"bench": entry}}, catalog)
        catalog.flush()
        with process(
            args.gateway, "sizeup_gateway", catalog=catalog.name, port=port, log_level="warning"
        ) as pid:
            yield f"http://127.0.0.1:{port}", pid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gateway", default=sys.executable, help="interpreter")
    parser.add_argument("--inference", help="interpreter; default: that of the gateway")
    parser.add_argument("--factor", type=float, default=5.0, help="offered load over the peak")
    parser.add_argument("--slots", type=int, default=64, help="of the model; it queues as many")
    parser.add_argument("--tokens", type=int, default=20, help="of each response")
    parser.add_argument("--token-seconds", type=float, default=0.02)
    parser.add_argument("--new-connections", action="store_true", help="one for each request")
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    with serving(args) as (url, pid):
        asyncio.run(run(url, pid, args))


if __name__ == "__main__":
    main()
