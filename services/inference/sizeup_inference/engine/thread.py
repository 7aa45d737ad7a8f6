"""The compute thread: an inbox of commands in front of the engine. Every method is thread-safe."""

import logging
import queue
import threading
import time
from collections.abc import Sequence

import torch

from sizeup_inference.engine.drafting.drafter import Drafter
from sizeup_inference.engine.engine import Engine
from sizeup_inference.engine.model_runner import ModelRunner
from sizeup_inference.engine.protocol import (
    Cancelled,
    Deliver,
    Embedded,
    EngineDeadError,
    EngineEvent,
    EngineRequest,
    EngineStats,
    Failed,
    QueueFullError,
    Token,
    TooManyChoicesError,
)
from sizeup_inference.engine.scheduling.scheduler import Scheduler

log = logging.getLogger(__name__)


class EngineThread:
    """An EngineClient: the engine on a separate thread, behind a bounded queue."""

    def __init__(
        self,
        runner: ModelRunner,
        scheduler: Scheduler,
        deliver: Deliver,
        *,
        max_waiting: int,
        threads: int,
        drafter: Drafter | None = None,
    ) -> None:
        """Start the thread. `threads` is the number of CPU threads that compute a step."""
        self._deliver = deliver
        self._engine = Engine(runner, scheduler, self._release_and_deliver, drafter)
        self._capacity = scheduler.config.max_num_seqs + max_waiting
        self._inbox: queue.SimpleQueue[EngineRequest | str | None] = queue.SimpleQueue()
        """Requests, ids of requests to cancel, and None to close."""
        self._lock = threading.Lock()
        self._unfinished: dict[str, int] = {}
        """Request id -> choices without a terminal event. Guarded by the lock, like _dead."""
        self._dead = False
        self._thread = threading.Thread(
            target=self._main, args=(threads,), name="compute", daemon=True
        )
        self._thread.start()

    def submit(self, request: EngineRequest) -> None:
        self._engine.check(request)
        if request.choices > self._capacity:
            raise TooManyChoicesError(f"n={request.choices} exceeds capacity {self._capacity}")
        with self._lock:
            if self._dead:
                raise EngineDeadError("the compute thread has ended")
            if request.id in self._unfinished:
                raise ValueError(f"duplicate request id {request.id!r}")
            if sum(self._unfinished.values()) + request.choices > self._capacity:
                raise QueueFullError(f"queue full: capacity {self._capacity} sequences")
            self._unfinished[request.id] = request.choices
            self._inbox.put(request)

    def cancel(self, request_id: str) -> None:
        self._inbox.put(request_id)

    def stats(self) -> EngineStats:
        """Return the snapshot of the latest step or command."""
        return self._engine.stats

    def is_alive(self) -> bool:
        return self._thread.is_alive() and not self._dead

    def is_idle(self) -> bool:
        """Return whether no state of any request is left."""
        return not self._unfinished and self._engine.is_empty

    def close(self, timeout_seconds: float) -> None:
        self._inbox.put(None)
        self._thread.join(timeout_seconds)

    def abandon(self, reason: str) -> None:
        """Fail all requests, also while a step is blocked for good; a step that returns is last."""
        self._die(f"the engine has stopped: {reason}")
        self._inbox.put(None)

    def _main(self, threads: int) -> None:
        # OpenMP keeps the number of threads per calling thread.
        torch.set_num_threads(threads)
        try:
            while self._process_inbox():
                self._engine.step()
        except Exception:
            log.exception("engine.died")
        finally:
            self._die()

    def _process_inbox(self) -> bool:
        """Execute every queued command, blocking while there is no work; False after close."""
        while True:
            try:
                command = self._inbox.get(block=not self._engine.has_work)
            except queue.Empty:
                return True
            match command:
                case EngineRequest():
                    self._engine.add(command)
                case str():
                    self._engine.cancel(command)
                case None:
                    return False

    def _release_and_deliver(self, events: Sequence[EngineEvent]) -> None:
        """Free the queue slots of finished choices, then pass the events on."""
        with self._lock:
            if self._dead:  # abandoned: every request has its terminal event
                return
            for event in events:
                if isinstance(event, Token):
                    if event.finish is not None:
                        self._release_choice(event.request_id)
                elif isinstance(event, Embedded | Cancelled | Failed):
                    self._unfinished.pop(event.request_id, None)
        self._deliver(events)

    def _release_choice(self, request_id: str) -> None:
        self._unfinished[request_id] -= 1
        if not self._unfinished[request_id]:
            del self._unfinished[request_id]

    def _die(self, message: str = "the engine has stopped") -> None:
        """Reject later requests and fail every request that has not finished."""
        with self._lock:
            self._dead = True
            lost = list(self._unfinished)
            self._unfinished.clear()
        now = time.monotonic_ns()
        self._deliver([Failed(i, message, now) for i in lost])
