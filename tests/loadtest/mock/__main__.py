"""Serve one mock model until SIGTERM: `python -m loadtest.mock --ttft-seconds 0.2 --parallel 4`.

Every number of `MockModel` is an option. Prints the URL once the socket listens.
"""

import argparse
import asyncio
import signal
from dataclasses import fields

from loadtest.mock.behaviour import Behaviour, MockModel
from loadtest.mock.server import MockServer


def options() -> MockModel:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(MockModel):
        if isinstance(field.default, int | float):
            flag = f"--{field.name.replace('_', '-')}"
            parser.add_argument(flag, type=type(field.default), default=field.default)
    return MockModel("mock:1b", **vars(parser.parse_args()))


async def serve(size: MockModel) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with MockServer(Behaviour(sizes=(size,))) as server:
        print(server.url, flush=True)
        await stop.wait()


asyncio.run(serve(options()))
