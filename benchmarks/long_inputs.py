"""Inter-token gaps of a stream, idle and beside inputs that are larger than the context.

    sizeup up --port 18511
    python benchmarks/long_inputs.py --url http://127.0.0.1:18511 --model toy:2m

A line per input: its size, the status and the seconds of its response, and the gaps between the
chunks of a stream of the same model while the input is sent again and again.
"""

import argparse
import asyncio
import contextlib
import functools
import math
import multiprocessing
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ProcessPoolExecutor

import aiohttp

from hostile_inputs import INPUTS

_PAUSE_SECONDS = 0.25
"""Between two requests, so that a chunk of each second is beside none."""
_TIMEOUT_SECONDS = 120
_MIN_GAPS = 100
"""For a 99th percentile."""


async def chunk_times(url: str, model: str) -> AsyncGenerator[float]:
    """Yield the time of each chunk of streams without end; nan between two of them."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Tell a long story."}],
        "stream": True,
        "ignore_eos": True,
    }
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)) as http:
        while True:
            async with http.post(f"{url}/v1/chat/completions", json=body) as response:
                response.raise_for_status()
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        yield time.perf_counter()
            yield math.nan


async def gaps(url: str, model: str, seconds: float, until: asyncio.Event) -> Sequence[float]:
    """Return the gaps within streams of at least these seconds, in milliseconds."""
    found: list[float] = []
    last, ends = math.nan, time.perf_counter() + seconds
    async with contextlib.aclosing(chunk_times(url, model)) as times:
        async for at in times:
            if not math.isnan(at - last):
                found.append(1000 * (at - last))
            last = at
            if at > ends and until.is_set() and len(found) >= _MIN_GAPS:
                return found
    return found


@functools.cache
def data_of(name: str, model: str) -> bytes:
    return INPUTS[name].body(model)


def size_of(name: str, model: str) -> int:
    return len(data_of(name, model))


def send(url: str, name: str, model: str) -> tuple[int, float]:
    """Return the status and the seconds of a response. Blocking, for a process of its own."""
    request = urllib.request.Request(
        url + INPUTS[name].path, data_of(name, model), {"Content-Type": "application/json"}
    )
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            response.read()
            return response.status, time.perf_counter() - started
    except urllib.error.HTTPError as error:
        error.read()
        return error.code, time.perf_counter() - started


def columns(found: Sequence[float]) -> str:
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return f"{cuts[49]:8.1f} {cuts[98]:8.1f} {max(found):8.1f}"


async def measure(
    pool: ProcessPoolExecutor, url: str, model: str, name: str, seconds: float
) -> None:
    """Print the line of one input."""
    loop = asyncio.get_running_loop()
    size = await loop.run_in_executor(pool, size_of, name, model) / 1e6
    done = asyncio.Event()
    reading = asyncio.create_task(gaps(url, model, seconds, done))
    ends = time.perf_counter() + seconds
    results = []
    while time.perf_counter() < ends:
        await asyncio.sleep(_PAUSE_SECONDS)
        results.append(await loop.run_in_executor(pool, send, url, name, model))
    done.set()
    status, slowest = results[0][0], max(took for _, took in results)
    found = await reading
    print(f"{name:36} {size:6.1f} {status:6} {slowest:8.2f} {columns(found)}", flush=True)


async def run(url: str, model: str, seconds: float, only: str) -> None:
    print(
        f"{'input':36} {'MB':>6} {'status':>6} {'s':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"
    )
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        await idle(url, model, seconds)
        for name in INPUTS:
            if only in name:
                await measure(pool, url, model, name, seconds)
        await idle(url, model, seconds)


async def idle(url: str, model: str, seconds: float) -> None:
    """Print the line without an input."""
    always = asyncio.Event()
    always.set()
    print(f"{'idle':58} {columns(await gaps(url, model, seconds, always))}", flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:11434")
    parser.add_argument("--model", default="toy:2m")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each input")
    parser.add_argument("--only", default="", help="a part of the names of the inputs")
    args = parser.parse_args()
    asyncio.run(run(args.url.rstrip("/"), args.model, args.seconds, args.only))


if __name__ == "__main__":
    main()
