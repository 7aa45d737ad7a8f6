"""Latency of a polite client, alone and beside a greedy one with hundreds of requests in flight.

    python benchmarks/fairness.py [--in-flight 500] [--gateway OLD/.venv/bin/python]

The model is the fake engine with a number of slots and a time per token, so that what a request
takes is known. The polite client sends one request at a time, in rounds alone and beside the greedy
one, which replaces each request that ends. Both have API keys and send equal requests, alternately
streamed in OpenAI's and Ollama's dialect. The share is that of the polite client in the requests
that ended; one at a time, it can take no more than one slot.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp

from gateway_overhead import MODEL, free_port, process
from overload import body_of, percentiles

_TIMEOUT = aiohttp.ClientTimeout(total=300)
_GREEDY, _POLITE = "greedy", "polite"
_PAUSE_SECONDS = 0.05
"""Of a greedy client after a refusal, so that it does not overload the machine instead."""


@dataclass(slots=True)
class Results:
    alone: list[float] = field(default_factory=list)
    """Seconds of the polite client's requests."""
    beside: list[float] = field(default_factory=list)
    greedy: int = 0
    """Requests of the greedy client that ended meanwhile."""
    refused: Counter[str] = field(default_factory=Counter)
    """By client."""


class Clients:
    def __init__(self, http: aiohttp.ClientSession, url: str, tokens: int) -> None:
        self._http = http
        self._url = url
        self._tokens = tokens
        self._numbers = count()
        self._flooded = asyncio.Event()
        self.ended = 0
        """Requests of the greedy client."""
        self.refused: Counter[str] = Counter()

    async def send(self, key: str) -> float | None:
        """Return the seconds of a request, or None for one that is refused."""
        begun = perf_counter()
        path, body = body_of(next(self._numbers), self._tokens)
        headers = {"Authorization": f"Bearer {key}"}
        async with self._http.post(self._url + path, json=body, headers=headers) as response:
            text = await response.read()
        if response.status != 200:
            self.refused[key] += 1
            return None
        if b'"length"' not in text:
            raise RuntimeError(f"incomplete: {text[-200:]!r}")
        return perf_counter() - begun

    async def polite(self, requests: int) -> Sequence[float]:
        sent = [await self.send(_POLITE) for _ in range(requests)]
        return [seconds for seconds in sent if seconds is not None]

    async def greedy(self) -> None:
        """Send one request after the other until cancelled."""
        while True:
            if await self.send(_GREEDY) is None:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self.ended += 1
                self._flooded.set()

    @contextlib.asynccontextmanager
    async def flood(self, in_flight: int) -> AsyncIterator[None]:
        """Keep the greedy client's requests in flight during the block."""
        self._flooded.clear()
        tasks = [asyncio.create_task(self.greedy()) for _ in range(in_flight)]
        try:
            await self._flooded.wait()  # all are sent before the first one ends
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def run(url: str, args: argparse.Namespace) -> Results:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http:
        clients = Clients(http, url, args.tokens)
        await until_ready(clients)
        results = Results(refused=clients.refused)
        for _ in range(args.rounds):
            results.alone += await clients.polite(args.requests)
            async with clients.flood(args.in_flight):
                before = clients.ended
                results.beside += await clients.polite(args.requests)
                results.greedy += clients.ended - before
    return results


async def until_ready(clients: Clients) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                if await clients.send(_POLITE) is not None:
                    return
            await asyncio.sleep(0.2)


def show(results: Results, slots: int) -> None:
    share = len(results.beside) / (len(results.beside) + results.greedy)
    middle = median(results.beside) / median(results.alone)
    most = max(results.beside) / max(results.alone)
    print(f"alone      {percentiles(results.alone)}")
    print(f"beside     {percentiles(results.beside)}")
    print(f"ratio      {middle:.2f} of the median, {most:.2f} of the maximum")
    print(f"share      {share:.3f} of the requests that ended; a slot is {1 / slots:.3f}")
    print(f"refused    {dict(results.refused)}")


@contextlib.contextmanager
def serving(args: argparse.Namespace) -> Iterator[str]:
    """Run inference and a gateway with two API keys; yield the URL of the gateway."""
    replica, port = free_port(), free_port()
    engine = {"model": "bench", "engine": "fake", "fake_token_seconds": args.token_seconds}
    limits = {"max_num_seqs": args.slots, "max_waiting": args.waiting}
    entry = {"id": "bench", "names": [MODEL], "replicas": [f"http://127.0.0.1:{replica}"]}
    with (
        tempfile.TemporaryDirectory() as name,
        process(
            args.inference or args.gateway,
            "sizeup_inference",
            **engine,
            **limits,
            port=replica,
            log_level="warning",
        ),
    ):
        catalog, keys = Path(name, "catalog.yaml"), Path(name, "keys")
        catalog.write_text(json.dumps({"models": {"bench": entry}}))
        keys.touch(0o600)
        keys.write_text(f"{_GREEDY}\n{_POLITE}\n")
        settings = {"catalog": catalog, "api_keys_file": keys, "port": port}
        with process(args.gateway, "sizeup_gateway", **settings, log_level="warning"):
            yield f"http://127.0.0.1:{port}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gateway", default=sys.executable, help="interpreter")
    parser.add_argument("--inference", help="interpreter; default: that of the gateway")
    parser.add_argument("--in-flight", type=int, default=500, help="of the greedy client")
    parser.add_argument("--slots", type=int, default=16, help="of the model")
    parser.add_argument("--waiting", type=int, default=1000, help="places of its queue")
    parser.add_argument("--tokens", type=int, default=20, help="of each response")
    parser.add_argument("--token-seconds", type=float, default=0.02)
    parser.add_argument("--requests", type=int, default=5, help="of the polite client, each round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with serving(args) as url:
        results = asyncio.run(run(url, args))
    show(results, args.slots)


if __name__ == "__main__":
    main()
