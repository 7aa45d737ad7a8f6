"""CPU time of a streamed token in the gateway and in inference, beside a bare pass-through.

    python benchmarks/token_cpu.py [--streams 100] [--gateway OLD/.venv/bin/python ...]

One inference process with the fake engine serves all; its streams have a steady pace, so that
nothing saturates. The pass-through (FastAPI, aiohttp) forwards the bytes of inference unread: no
JSON, no dialect, no limits. Rounds alternate between the servers; printed are medians of
microseconds of CPU time per token (Linux), in relation to the pass-through as well.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp

from gateway_overhead import MODEL, free_port, process

_START_SECONDS = 60.0
_ROUTES = {
    "OpenAI": "/v1/chat/completions",
    "Ollama": "/api/chat",
    "bare": "/internal/v1/generate",
}


@dataclass(slots=True)
class Server:
    name: str
    url: str
    pid: int
    dialect: str
    token_us: list[float] = field(default_factory=list)
    """CPU time per token in each round."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process's threads."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9


def body_of(dialect: str, tokens: int) -> dict[str, object]:
    """Return a request whose answer, the prompt again, has at least as many tokens."""
    messages = [{"role": "user", "content": "x" * tokens}]
    match dialect:
        case "OpenAI":
            fields = {"stream": True, "max_tokens": tokens, "ignore_eos": True}
            return {"model": MODEL, "messages": messages, **fields}
        case "Ollama":
            return {"model": MODEL, "messages": messages, "options": {"num_predict": tokens}}
    prompt = {"kind": "chat", "messages": messages}
    return {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True}


async def stream(http: aiohttp.ClientSession, server: Server, tokens: int) -> None:
    """Read one stream to its end; raise RuntimeError for one that is incomplete."""
    url, tail = server.url + _ROUTES[server.dialect], b""
    async with http.post(url, json=body_of(server.dialect, tokens)) as response:
        async for chunk in response.content.iter_any():
            tail = (tail + chunk)[-1000:]
    if response.status != 200 or b"length" not in tail:
        raise RuntimeError(f"{server.name}: {response.status} {tail[-200:]!r}")


async def measure(
    http: aiohttp.ClientSession, server: Server, inference: Server, streams: int, tokens: int
) -> None:
    before, below = cpu_seconds(server.pid), cpu_seconds(inference.pid)
    await asyncio.gather(*(stream(http, server, tokens) for _ in range(streams)))
    count = streams * tokens / 1e6
    server.token_us.append((cpu_seconds(server.pid) - before) / count)
    inference.token_us.append((cpu_seconds(inference.pid) - below) / count)


async def until_ready(http: aiohttp.ClientSession, server: Server) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError, RuntimeError):
                await stream(http, server, 1)
                return
            await asyncio.sleep(0.2)


async def run(servers: Sequence[Server], inference: Server, args: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        for server in (inference, *servers):
            await until_ready(http, server)
        for i in range(args.rounds):
            for server in servers if i % 2 else servers[::-1]:
                await measure(http, server, inference, args.streams, args.tokens)


@contextlib.contextmanager
def serving(args: argparse.Namespace) -> Iterator[tuple[Server, list[Server]]]:
    """Run inference, the gateways and the pass-through; yield inference and the others."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        pid = stack.enter_context(
            process(
                args.inference,
                "sizeup_inference",
                model="bench",
                engine="fake",
                fake_token_seconds=1 / args.pace if args.pace else 0,
                log_level="warning",
                port=port,
            )
        )
        inference = Server("inference", f"http://127.0.0.1:{port}", pid, "bare")
        servers = [stack.enter_context(_bare(inference.url))]
        for python in args.gateway or [sys.executable]:
            servers += stack.enter_context(_gateway(python, inference.url))
        yield inference, servers


@contextlib.contextmanager
def _bare(replica: str) -> Iterator[Server]:
    port = free_port()
    script = str(Path(__file__).with_name("pass_through.py"))
    command = [sys.executable, script, str(port), replica]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            yield Server("bare pass-through", f"http://127.0.0.1:{port}", running.pid, "bare")
        finally:
            running.terminate()


@contextlib.contextmanager
def _gateway(python: str, replica: str) -> Iterator[list[Server]]:
    port = free_port()
    entry = {"id": "bench", "names": [MODEL], "replicas": [replica]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as catalog:
        json.dump({"models": {"bench": entry}}, catalog)
        catalog.flush()
        with process(
            python, "sizeup_gateway", catalog=catalog.name, port=port, log_level="warning"
        ) as pid:
            url = f"http://127.0.0.1:{port}"
            yield [Server(f"{d}, {python}", url, pid, d) for d in ("OpenAI", "Ollama")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gateway", action="append", help="interpreters; default: this one")
    parser.add_argument("--inference", default=sys.executable, help="interpreter")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=200, help="per stream")
    parser.add_argument("--pace", type=float, default=50.0, help="tokens per second and stream")
    args = parser.parse_args()
    with serving(args) as (inference, servers):
        asyncio.run(run(servers, inference, args))
    bare = median(servers[0].token_us)
    for server in (*servers, inference):
        us = median(server.token_us)
        print(f"{us:7.1f} us of CPU time per token, {us / bare:5.2f} of the bare: {server.name}")


if __name__ == "__main__":
    main()
