"""Serve one mock model until SIGTERM: `python -m loadtest.mock --ttft-seconds 0.2 --parallel 4`.

Every number of `MockModel` is an option. Prints the URL once the socket listens.
"""

import argparse
import asyncio
import signal
from dataclasses import fields
from typing import get_args

from loadtest.mock.behaviour import Behaviour, Kind, MockModel
from loadtest.mock.server import MockServer


def options() -> Behaviour:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(MockModel):
        if isinstance(field.default, int | float):
            flag = f"--{field.name.replace('_', '-')}"
            parser.add_argument(flag, type=type(field.default), default=field.default)
    parser.add_argument("--kind", choices=get_args(Kind), default="sizeup")
    parser.add_argument("--name", default="mock:1b")
    numbers = vars(parser.parse_args())
    kind, name = numbers.pop("kind"), numbers.pop("name")
    return Behaviour(sizes=(MockModel(name, **numbers),), kind=kind)


async def serve(behaviour: Behaviour) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with MockServer(behaviour) as server:
        print(server.url, flush=True)
        await stop.wait()


asyncio.run(serve(options()))
