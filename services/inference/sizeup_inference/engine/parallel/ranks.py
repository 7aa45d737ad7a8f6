"""The processes of the other ranks, as rank 0 sees them: started, sent messages, and watched."""

import contextlib
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.parallel.group import create_store, join_group
from sizeup_inference.engine.parallel.messages import Failed, Join, Loaded, Report, Request

log = logging.getLogger(__name__)

T = TypeVar("T")

_MODULE = "sizeup_inference.engine.parallel.rank"

_EXIT_SECONDS = 5.0
"""From the end of a rank's connection to its exit code."""

_LOADED_SECONDS = 300.0
"""For a rank to load its part once rank 0 has, when the ranks have agreed on their pages."""

_REASON_SECONDS = 1.0
"""An error of rank 0 waits this long for that of another rank, which is its cause if there is one:
gloo reports a connection that was closed."""

OnLost = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Rank:
    number: int
    process: "subprocess.Popen[bytes]"
    connection: "Connection[Any, Any]"


class Ranks:
    """Ranks 1 to `size` - 1, and the group that they form with this process.

    They are lost, all together and for good, as soon as one of them ends or fails. One group per
    process, as torch has it.
    """

    def __init__(self, size: int, device_type: str) -> None:
        """Start the processes and wait until they have joined; raises LoadError if one ends."""
        self.size = size
        self._lock = threading.Lock()
        self._lost = threading.Event()
        self._reason = ""
        self._on_lost: list[OnLost] = []
        self._loaded: queue.SimpleQueue[Loaded] = queue.SimpleQueue()
        self._ranks: tuple[_Rank, ...] = ()
        started: Future[None] = Future()
        threading.Thread(target=self._main, args=(started,), name="ranks", daemon=True).start()
        started.result()
        try:
            self.unless_lost(lambda: self._join(device_type))
        except BaseException as error:
            self.lose(f"rank 0: {type(error).__name__}: {error}")
            raise

    def unless_lost(self, function: Callable[[], T]) -> T:
        """Return what a function returns that blocks while a rank does.

        Raises LoadError once a rank is lost: a collective of NCCL may never return then.
        """
        outcomes: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

        def fail(reason: str) -> None:
            outcomes.put(LoadError(reason))

        def run() -> None:
            try:
                outcomes.put(function())
            except BaseException as error:  # noqa: BLE001  # it is the caller's to handle
                if not self._lost.wait(_REASON_SECONDS):
                    outcomes.put(error)

        self.when_lost(fail)
        threading.Thread(target=run, name="rank 0", daemon=True).start()
        try:
            outcome = outcomes.get()
        finally:
            with self._lock:
                self._on_lost.remove(fail)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def when_lost(self, on_lost: OnLost) -> None:
        """Call back with the reason, from any thread, at once if the ranks are lost already."""
        with self._lock:
            self._on_lost.append(on_lost)
        if self._lost.is_set():
            on_lost(self._reason)

    def send(self, message: Request | Join) -> None:
        """Send a message to every rank: serialized once."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        for rank in self._ranks:
            rank.connection.send_bytes(data)

    def await_loaded(self) -> tuple[Loaded, ...]:
        """Wait until every other rank has loaded its part; see unless_lost.

        Raises LoadError after a deadline.
        """
        try:
            return tuple(self._loaded.get(timeout=_LOADED_SECONDS) for _ in self._ranks)
        except queue.Empty:
            raise LoadError(f"a rank has not loaded its part in {_LOADED_SECONDS:.0f} s") from None

    @contextlib.contextmanager
    def in_step(self) -> Iterator[None]:
        """Lose the ranks if the block raises: they are out of step with this one."""
        try:
            yield
        except BaseException as error:
            if not self._lost.wait(_REASON_SECONDS):
                self.lose(f"rank 0: {type(error).__name__}: {error}")
            raise

    def lose(self, reason: str) -> None:
        """Kill the ranks. Only the first reason counts."""
        with self._lock:
            if self._lost.is_set():
                return
            self._reason = reason
            self._lost.set()
            callbacks = tuple(self._on_lost)
        log.error("ranks.lost", extra={"reason": reason})
        for rank in self._ranks:
            rank.process.kill()
        for on_lost in callbacks:
            on_lost(reason)

    def _join(self, device_type: str) -> None:
        store = create_store(self.size)
        level = logging.getLogger().getEffectiveLevel()
        for rank in self._ranks:
            join = Join(rank.number, self.size, store.port, device_type, level)
            rank.connection.send(join)
        join_group(store, 0, self.size, device_type)

    def _main(self, started: "Future[None]") -> None:
        """Start the processes and watch them: the kernel kills them when this thread ends."""
        try:
            self._ranks = tuple(_start(number) for number in range(1, self.size))
        except BaseException as error:  # noqa: BLE001  # it is the caller's to handle
            started.set_exception(error)
            return
        started.set_result(None)
        by_connection = {rank.connection: rank for rank in self._ranks}
        try:
            while not self._lost.is_set():
                for ready in wait(tuple(by_connection)):
                    self._receive(by_connection[ready])  # type: ignore[index]
        except Exception as error:
            log.exception("ranks.watch_failed")
            self.lose(f"rank 0: {type(error).__name__}: {error}")
        for rank in self._ranks:
            rank.process.wait()

    def _receive(self, rank: _Rank) -> None:
        try:
            report: Report = rank.connection.recv()
        except (EOFError, OSError):
            self.lose(f"rank {rank.number} ended with {_exit_code(rank.process)}")
            return
        match report:
            case Loaded():
                self._loaded.put(report)
            case logging.LogRecord() as record:
                record.rank = rank.number
                logging.getLogger(record.name).handle(record)
            case Failed(error, traceback):
                extra = {"rank": rank.number, "exception": traceback}
                log.error("rank.failed", extra=extra)
                self.lose(f"rank {rank.number}: {error}")


def _start(number: int) -> _Rank:
    connection, child = Pipe()
    with child:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, str(child.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            pass_fds=(child.fileno(),),
        )
    log.info("rank.started", extra={"rank": number, "pid": process.pid})
    return _Rank(number, process, connection)


def _exit_code(process: "subprocess.Popen[bytes]") -> str:
    try:
        code = process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        return "no exit code"
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
