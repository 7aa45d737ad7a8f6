"""Compare the HTTP overhead of two checkouts' inference processes, over the fake engine.

    python benchmarks/inference_overhead.py --before OTHER/.venv/bin/python [--rounds 7]

Both processes run for the whole time and are measured in turn within each round, so that a noisy
machine affects both equally; the relevant figure is the ratio. Rates are per second of the
process's CPU time, which other load affects least.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

REQUESTS, CLIENTS = 600, 8
"""Short requests of one measurement, and how many clients send them."""
STREAMS, TOKENS = 200, 64


@dataclass(frozen=True, slots=True)
class Server:
    """A running inference process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Return the CPU time of its threads, from Linux's scheduler statistics."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9


@contextlib.asynccontextmanager
async def process(python: str, port: int) -> AsyncIterator[Server]:
    """Run an inference process whose engine takes no time per token."""
    names = {"ENGINE": "fake", "MODEL": "fake", "PORT": str(port), "FAKE_TOKEN_SECONDS": "0"}
    names |= {"LOG_LEVEL": "warning", "MAX_WAITING": "4096"}
    environment = {f"SIZEUP_INFERENCE_{name}": value for name, value in names.items()}
    child = await asyncio.create_subprocess_exec(
        python, "-m", "sizeup_inference", env={"PATH": os.defpath} | environment
    )
    try:
        yield Server(port, child.pid)
    finally:
        child.terminate()
        await child.wait()


async def until_ready(http: aiohttp.ClientSession, server: Server) -> None:
    """Poll the readiness probe."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(f"{server.url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)


async def generate(http: aiohttp.ClientSession, server: Server, tokens: int) -> None:
    """Read one stream to its end."""
    body = {"prompt": {"kind": "text", "text": "hello"}, "ignore_eos": True, "max_tokens": tokens}
    url = f"{server.url}/internal/v1/generate"
    async with http.post(url, data=json.dumps(body)) as response:
        content = await response.read()
    if b'"finished"' not in content:
        raise RuntimeError(f"status {response.status}: {content[-200:]!r}")


async def requests_per_second(http: aiohttp.ClientSession, server: Server) -> float:
    """Measure requests of one token, a few at a time."""

    async def client() -> None:
        for _ in range(REQUESTS // CLIENTS):
            await generate(http, server, 1)

    started = server.cpu_seconds()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return REQUESTS / (server.cpu_seconds() - started)


async def tokens_per_second(http: aiohttp.ClientSession, server: Server) -> float:
    """Measure many streams at once."""
    started = server.cpu_seconds()
    await asyncio.gather(*(generate(http, server, TOKENS) for _ in range(STREAMS)))
    return STREAMS * TOKENS / (server.cpu_seconds() - started)


async def compare(before: str, rounds: int) -> None:
    """Print the median of each side and the ratio over paired rounds."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        process(before, 18411) as old,
        process(sys.executable, 18412) as new,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        for server in (old, new):
            await until_ready(http, server)
        for measure in (requests_per_second, tokens_per_second):
            for server in (old, new):
                await measure(http, server)
            pairs = []
            for index in range(rounds):
                order = (old, new) if index % 2 else (new, old)
                rates = {server: await measure(http, server) for server in order}
                pairs.append((rates[old], rates[new]))
            plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratios = sorted(after / earlier for earlier, after in pairs)
            print(
                f"{measure.__name__}: before {plain:.0f}, after {ours:.0f}, ratio "
                f"{statistics.median(ratios):.3f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})",
                flush=True,
            )


def main() -> None:
    """Parse the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, help="Python of the other checkout")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    asyncio.run(compare(args.before, args.rounds))


if __name__ == "__main__":
    main()
