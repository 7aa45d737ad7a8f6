"""A fake server in a thread, and the command line against it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from ssl import SSLContext
from typing import TypeVar

from loadtest.fake_server import (
    OLLAMA_ANSWER,
    FakeServer,
    ReceivedRequest,
    Response,
    fake_server,
    openai_answer,
    status,
    stream_of,
)
from sizeup_loadtest import main as command_line

Served = TypeVar("Served")

LISTED = {"data": [{"id": "small"}, {"id": "large"}]}
SIZES = {"small": 1_000, "large": 2_000}
TAGS = {"models": [{"name": name, "size": 4 * size} for name, size in SIZES.items()]}
CONFIG = """
models: [{name: large, price_per_hour: 3.6, bandwidth_gb_s: 1}, small]
max_tokens: 3
load: {blocks: 2, warmup: 1, closed: [1, 2], requests_per_block: 3,
       open: {arrival: constant, rates: [200], seconds: 0.02, max_seconds: 0.03}}
limits: {max_send_lag_seconds: 5, max_loop_lag_seconds: 5}
"""


async def show(request: ReceivedRequest) -> AsyncIterator[bytes]:
    info = {"general.architecture": "q", "general.parameter_count": SIZES[request.body["model"]]}
    async for piece in status(200, {"model_info": info})(request):
        yield piece


WHOLE: dict[str, Response] = {
    "chat": stream_of(*openai_answer()),
    "ollama": stream_of(*OLLAMA_ANSWER),
    "models": status(200, LISTED),
    "tags": status(200, TAGS),
    "ps": status(200, {"models": []}),
    "show": show,
}


def background(
    tls: SSLContext | None = None, /, **responses: Response
) -> AbstractContextManager[FakeServer]:
    """Serve responses in a separate thread."""
    return in_background(fake_server(tls, **responses))


@contextmanager
def in_background(server: AbstractAsyncContextManager[Served]) -> Iterator[Served]:
    """Serve in a separate thread, because the command runs its own event loop."""
    ready, box = threading.Event(), list[tuple[Served, asyncio.Event]]()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with server as entered:
            over = asyncio.Event()
            box.append((entered, over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield box[0][0]
    finally:
        loop.call_soon_threadsafe(box[0][1].set)
        thread.join(10)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def bench(*arguments: str) -> int:
    """Run the command line."""
    app = command_line.build()
    return command_line.run(lambda: app(list(arguments), standalone_mode=False))


def process(*arguments: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, after commands of a shell such as `ulimit`."""
    program = [sys.executable, "-c", "from sizeup_loadtest.main import main; main()"]
    return subprocess.run(
        ["sh", "-c", f'{shell}\nexec "$@"', "sh", *program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
