"""What HTTP and the gateway cost: many streams through each, and on the engine alone.

    python benchmarks/layers.py [--shape qwen1.5-0.5b] [--streams 16] [--tokens 64] [--rounds 3]

The same requests, all at once, are sent to the engine in a process of its own, to an inference
process and through a gateway. Rounds alternate between the three, so that other load on the machine
affects all; printed are medians of the generated tokens per second, prefill included, and the ratio
to the engine over paired rounds. The clients share the machine's cores with what they measure.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import aiohttp

from engine_peers.messages import Load, PeerOptions
from engine_peers.process import PeerProcess
from gateway_overhead import MODEL, gateway
from make_model import make
from shapes import SHAPES
from side_by_side import started, until_ready

_START_SECONDS = 60.0
_TAIL_BYTES = 4096
"""Room for the end of a stream."""

Send = Callable[[list[int]], Awaitable[None]]


class Requests:
    """The requests of a round, over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, tokens: int) -> None:
        self._http = http
        self._tokens = tokens

    async def to_inference(self, url: str, prompt: list[int]) -> None:
        """Stream from an inference process."""
        body = {
            "prompt": {"kind": "tokens", "token_ids": prompt},
            "max_tokens": self._tokens,
            "ignore_eos": True,
            "sampling": {"temperature": 0},
        }
        await self._stream(f"{url}/internal/v1/generate", body, b'"event":"finished"')

    async def to_gateway(self, url: str, prompt: list[int]) -> None:
        """Stream through a gateway, as OpenAI's clients do."""
        body = {
            "model": MODEL,
            "prompt": prompt,
            "max_tokens": self._tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
        }
        await self._stream(f"{url}/v1/completions", body, b'"finish_reason":"length"')

    async def _stream(self, url: str, body: object, end: bytes) -> None:
        tail = b""
        async with self._http.post(url, json=body) as response:
            async for chunk in response.content.iter_any():  # the client takes as little as it can
                tail = (tail + chunk)[-_TAIL_BYTES:]
        if response.status != 200 or end not in tail:
            raise RuntimeError(f"{url}: {response.status}, incomplete stream")


async def rate(send: Send, load: Load, vocab_size: int) -> float:
    """Return tokens per second of requests that are sent at once."""
    begun = time.perf_counter()
    await asyncio.gather(*(send(prompt) for prompt in load.prompts(vocab_size)))
    return load.streams * load.tokens / (time.perf_counter() - begun)


async def until_found(requests: Requests, gateway_url: str) -> None:
    """Wait until the gateway has found the replica."""
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError, RuntimeError):
                await requests.to_gateway(gateway_url, [1, 2, 3])
                return
            await asyncio.sleep(0.2)


async def compare(
    engine: PeerProcess, replica: str, gateway_url: str, args: argparse.Namespace
) -> None:
    """Measure the three in turn and print them."""
    vocab_size = engine.ready.model.vocab_size
    rates: dict[str, list[float]] = {"engine": [], "inference": [], "gateway": []}
    timeout, connector = aiohttp.ClientTimeout(total=600), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        await until_ready([replica])
        requests = Requests(http, args.tokens)
        await until_found(requests, gateway_url)
        for i in range(args.rounds + 1):  # the first one warms up
            load = Load(args.streams, args.prompt, args.tokens, seed=3 * i)
            seconds = engine.run(load).timing.seconds
            rates["engine"].append(load.streams * load.tokens / seconds)
            load = Load(args.streams, args.prompt, args.tokens, seed=3 * i + 1)
            direct = await rate(lambda p: requests.to_inference(replica, p), load, vocab_size)
            rates["inference"].append(direct)
            load = Load(args.streams, args.prompt, args.tokens, seed=3 * i + 2)
            through = await rate(lambda p: requests.to_gateway(gateway_url, p), load, vocab_size)
            rates["gateway"].append(through)
    print(f"{args.streams} streams, {args.prompt} tokens of prompt and {args.tokens} of completion")
    for name, values in rates.items():
        ratios = sorted(a / b for a, b in zip(values[1:], rates["engine"][1:], strict=True))
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{name:10} {median(values[1:]):8.1f} tokens/s   {spread} of the engine")


def main() -> None:
    """Parse the command line, create the model and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        make(Path(folder), args.shape, "bfloat16")
        options = PeerOptions(folder, "cpu", os.cpu_count() or 1, args.streams, 1024)
        engine = PeerProcess("sizeup", Path(sys.executable), options, "passive")
        stack.callback(engine.close)
        (replica,) = stack.enter_context(started(Path(folder), 1, None))
        front = stack.enter_context(gateway("gateway", sys.executable, replica))
        asyncio.run(compare(engine, replica, front.url, args))


if __name__ == "__main__":
    main()
