"""How long a killed or hung inference process is noticed by clients, on one machine.

    python benchmarks/recovery.py [MODEL ...]

Runs `sizeup up` with these models (default: the toys). Each round kills the first model's process
(SIGKILL) and sends a request at once: the seconds until its response are the recovery. Then it
stops the process (SIGSTOP) and sends a request: the seconds until its error are the time to the
verdict.
Linux only.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import aiohttp

_START_SECONDS = 300.0
_READY = "press Ctrl-C to stop"


def children_of(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    own = [int(child) for path in lists for child in path.read_text().split()]
    return own + [below for child in own for below in children_of(child)]


def process_of(pid: int, key: str) -> int:
    """Return the process of a model: it is named by its key in the catalog."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for child in children_of(pid):
            if Path(f"/proc/{child}/comm").read_text().strip() == key[:15]:
                return child
        time.sleep(0.02)
    raise TimeoutError(f"no process {key}")


@contextmanager
def serving(models: list[str]) -> Iterator[tuple[str, int]]:
    """Run `sizeup up`; yield its URL and process id."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "sizeup", "up", "--port", str(port), *models]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        try:
            if not any(_READY in line for line in up.stdout or ()):
                raise RuntimeError("sizeup up has ended")
            yield f"http://127.0.0.1:{port}", up.pid
        finally:
            up.terminate()


async def ask(url: str, model: str) -> tuple[int, float]:
    """Return the status of a request, and the seconds until its response."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False}
    begun = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=_START_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(f"{url}/api/chat", json=body) as response,
    ):
        await response.read()
        return response.status, time.perf_counter() - begun


async def run(url: str, up: int, rounds: int) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as response:
        key = next(iter((await response.json())["replicas_ready"]))
    killed, hung = [], []
    for _ in range(rounds):
        os.kill(process_of(up, key), signal.SIGKILL)
        status, seconds = await ask(url, key)
        killed.append(seconds)
        print(f"{key}, killed: status {status} after {seconds:.2f} s")
        stopped = process_of(up, key)
        os.kill(stopped, signal.SIGSTOP)
        status, seconds = await ask(url, key)
        hung.append(seconds)
        print(f"{key}, stopped: status {status} after {seconds:.2f} s")
        os.kill(stopped, signal.SIGCONT)
        status, seconds = await ask(url, key)
        print(f"{key}, continued: status {status} after {seconds:.2f} s")
    print(f"medians: {median(killed):.2f} s after a kill, {median(hung):.2f} s of a hung process")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with serving(args.models) as (url, up):
        asyncio.run(run(url, up, args.rounds))


if __name__ == "__main__":
    main()
