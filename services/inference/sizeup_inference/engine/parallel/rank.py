"""The process of a rank above 0: `python -m sizeup_inference.engine.parallel.rank SOCKET PARENT`.

SOCKET is the file descriptor of its connection to rank 0, and PARENT the process id of rank 0. It
ends with rank 0, also while it is blocked in a collective, and after any error: a rank that has
left out a collective would be out of step with the others for good.
"""

import ctypes
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # they import torch, which takes seconds: first see to the end of the process
    from sizeup_inference.engine.parallel.messages import Join, Report

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def main() -> NoReturn:
    """Read the command line, and serve rank 0 to its end."""
    rank_0 = RankZero(Connection(int(sys.argv[1])))
    _die_with(int(sys.argv[2]))
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the process group: rank 0 drains
        signal.signal(number, signal.SIG_IGN)
    try:
        _serve(rank_0)
    except BaseException as error:  # noqa: BLE001  # reported
        from sizeup_inference.engine.parallel.messages import Failed

        trace = "".join(traceback.format_exception(error))
        rank_0.report(Failed(f"{type(error).__name__}: {error}", trace))
    os._exit(1)


class RankZero:
    """The connection to rank 0. Thread-safe."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.Lock()
        threading.Thread(target=self._receive, name="rank 0", daemon=True).start()

    def next(self) -> Any:
        return pickle.loads(self._inbox.get())

    def report(self, message: "Report") -> None:
        """Send a message; a rank whose rank 0 has ended is about to end as well."""
        with self._lock:
            self._connection.send(message)

    def _receive(self) -> None:
        try:
            while True:
                self._inbox.put(self._connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)


def _serve(rank_0: RankZero) -> None:
    from sizeup_inference.engine.parallel.shard import serve

    join: Join = rank_0.next()
    root = logging.getLogger()
    root.setLevel(join.log_level)
    root.addHandler(_ToRankZero(rank_0))
    logging.captureWarnings(capture=True)
    serve(join, rank_0.next, rank_0.report)


class _ToRankZero(QueueHandler):
    def __init__(self, rank_0: RankZero) -> None:
        super().__init__(queue.SimpleQueue())
        self._rank_0 = rank_0

    def enqueue(self, record: logging.LogRecord) -> None:
        self._rank_0.report(record)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process with rank 0, should it be stopped or keep the interpreter.

    Only Linux can; elsewhere the end of the connection does it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # ended before the request
            os._exit(1)


if __name__ == "__main__":
    main()
