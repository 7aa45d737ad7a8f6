"""An engine with known tokens at a known pace, and a model that needs no files. No torch.

It keeps the engine protocol to the letter (own thread, one batch per step, bounded queue, cancel),
so a whole deployment can run and be tested where no model can.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, cycle, islice

from sizeup_inference.engine.protocol import (
    Admitted,
    Cancelled,
    Deliver,
    Embedded,
    EngineDeadError,
    EngineEvent,
    EngineRequest,
    EngineStats,
    Failed,
    Finish,
    Logprobs,
    PromptLogprobs,
    QueueFullError,
    RequestTooLargeError,
    Token,
    TooManyChoicesError,
)

PAGE_SIZE = 16
"""Tokens in a page of the pretended KV pool."""

Script = Callable[[EngineRequest, int], Iterator[int]]
"""Makes the tokens of one choice; an exception kills the engine, as a bug in a forward would."""


def echo(request: EngineRequest, _choice: int) -> Iterator[int]:
    """Repeat the prompt and stop; or go on repeating when nothing can stop it."""
    words = [i for i in request.prompt_ids if i not in request.stop_token_ids] or [0]
    if not request.stop_token_ids:
        return cycle(words)
    spoken = islice(cycle(words), max(len(words), request.min_tokens))
    return chain(spoken, cycle([min(request.stop_token_ids)]))


@dataclass(frozen=True, slots=True)
class FakeLimits:
    """What the pretended machine can hold."""

    max_num_seqs: int = 256
    max_waiting: int = 512
    pages: int = 65536
    token_seconds: float = 0.0


@dataclass(slots=True)
class _Running:
    request: EngineRequest
    scripts: dict[int, Iterator[int]]
    """By choice; ended choices are gone."""
    made: dict[int, int] = field(default_factory=dict)
    """Tokens made by each choice."""

    def pages(self) -> int:
        tokens = len(self.request.prompt_ids) * self.request.choices + sum(self.made.values())
        return -(-tokens // PAGE_SIZE)


class FakeEngine:
    """Say known tokens; prefill is the first step of a request."""

    def __init__(self, deliver: Deliver, limits: FakeLimits, script: Script = echo) -> None:
        """Start the thread."""
        self._deliver = deliver
        self._limits = limits
        self._script = script
        self._changed = threading.Condition()
        self._waiting: deque[EngineRequest] = deque()
        self._running: dict[str, _Running] = {}
        self._cancelled: set[str] = set()
        self._closing = False
        self._steps = self._prompt_tokens = self._completion_tokens = self._last_batch_size = 0
        self._thread = threading.Thread(target=self._run, name="fake-engine", daemon=True)
        self._thread.start()

    def submit(self, request: EngineRequest) -> None:
        """Take a request, or raise an error of engine.py that says why not."""
        tokens = len(request.prompt_ids) + request.max_tokens
        if request.choices > self._limits.max_num_seqs:
            raise TooManyChoicesError(
                f"{request.choices} choices, and {self._limits.max_num_seqs} is the most"
            )
        if tokens * request.choices > self._limits.pages * PAGE_SIZE:
            raise RequestTooLargeError("prompt and answer do not fit the KV pool")
        with self._changed:
            if self._closing or not self._thread.is_alive():
                raise EngineDeadError("the engine has stopped")
            free = self._limits.max_num_seqs - self._sequences()
            if not self._has_room(request, free):
                raise QueueFullError("the waiting queue is full")
            self._waiting.append(request)
            self._changed.notify()

    def cancel(self, request_id: str) -> None:
        """End a request at the next step."""
        with self._changed:
            self._cancelled.add(request_id)
            self._changed.notify()

    def stats(self) -> EngineStats:
        """Return a snapshot."""
        with self._changed:
            return EngineStats(
                running=self._sequences(),
                waiting=len(self._waiting),
                pages_used=sum(running.pages() for running in self._running.values()),
                pages_total=self._limits.pages,
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                preemptions=0,
                last_batch_size=self._last_batch_size,
                last_step_seconds=self._limits.token_seconds,
            )

    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def close(self, timeout_seconds: float) -> None:
        """Fail what runs and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_seconds)

    def _has_room(self, request: EngineRequest, free: int) -> bool:
        """Count as waiting only what no place is free for; the thread admits the rest at once."""
        promised = sum(waiting.choices for waiting in self._waiting)
        if promised + request.choices <= free:
            return True
        return len(self._waiting) < self._limits.max_waiting

    def _sequences(self) -> int:
        return sum(len(running.scripts) for running in self._running.values())

    def _run(self) -> None:
        message = "the engine is shutting down"
        try:
            while self._wait_for_work():
                self._wait_for_pace()
                with self._changed:
                    batch = self._step()
                self._deliver(batch)
        except Exception as error:  # noqa: BLE001  # any bug ends the engine, and is reported
            message = f"the engine stopped: {error}"
        with self._changed:
            self._closing = True
            ids = [*self._running, *(request.id for request in self._waiting)]
            self._running.clear()
            self._waiting.clear()
        self._deliver([Failed(i, message, time.monotonic_ns()) for i in ids])

    def _wait_for_work(self) -> bool:
        """Admit and cancel; return False at the end."""
        with self._changed:
            while not self._closing:
                batch = [*self._cancel(), *self._admit()]
                if batch:
                    self._deliver(batch)
                if self._running:
                    return True
                self._changed.wait()
            return False

    def _wait_for_pace(self) -> None:
        """Let the time of a step pass; a cancel or a new request is taken up meanwhile."""
        end = time.monotonic() + self._limits.token_seconds
        with self._changed:
            while not self._closing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
                if batch := [*self._cancel(), *self._admit()]:
                    self._deliver(batch)

    def _cancel(self) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        waiting = {request.id for request in self._waiting}
        for request_id in self._cancelled:
            if self._running.pop(request_id, None) or request_id in waiting:
                events.append(Cancelled(request_id, time.monotonic_ns()))
        if not self._cancelled.isdisjoint(waiting):
            kept = (request for request in self._waiting if request.id not in self._cancelled)
            self._waiting = deque(kept)
        self._cancelled.clear()
        return events

    def _admit(self) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        free = self._limits.max_num_seqs - self._sequences()
        while self._waiting and self._waiting[0].choices <= free:
            request = self._waiting.popleft()
            free -= request.choices
            scripts = {i: self._script(request, i) for i in range(request.choices)}
            self._running[request.id] = _Running(request, scripts)
            self._prompt_tokens += len(request.prompt_ids)
            events.append(Admitted(request.id, time.monotonic_ns()))
        return events

    def _step(self) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        self._last_batch_size = self._sequences()
        for request_id, running in tuple(self._running.items()):
            if running.request.embed:
                events.append(self._embed(running.request))
                running.scripts.clear()
            elif not running.made:
                events += self._prompt_logprobs(running.request)
            for choice, script in tuple(running.scripts.items()):
                events.append(self._token(running, choice, next(script)))
            if not running.scripts:
                del self._running[request_id]
        self._steps += 1
        return events

    def _token(self, running: _Running, choice: int, token_id: int) -> Token:
        request = running.request
        made = running.made[choice] = running.made.get(choice, 0) + 1
        self._completion_tokens += 1
        finish = None
        if token_id in request.stop_token_ids:
            finish = Finish.STOP
        elif made >= request.max_tokens:
            finish = Finish.LENGTH
        if finish is not None:
            del running.scripts[choice]
        logprobs = None
        if request.sampling.logprobs is not None:
            logprobs = Logprobs(0.0, ((token_id, 0.0),)[: request.sampling.logprobs])
        return Token(request.id, choice, token_id, time.monotonic_ns(), finish, logprobs)

    @staticmethod
    def _prompt_logprobs(request: EngineRequest) -> list[PromptLogprobs]:
        """Say -1.0 of the second token, -2.0 of the third, and so on; each is the likeliest."""
        count, ids = request.prompt_logprobs, request.prompt_ids
        if count is None or len(ids) == 1:
            return []
        logprobs = tuple(
            Logprobs(-float(i), ((ids[i], -float(i)),)[:count]) for i in range(1, len(ids))
        )
        return [PromptLogprobs(request.id, 1, logprobs, time.monotonic_ns())]

    @staticmethod
    def _embed(request: EngineRequest) -> Embedded:
        """Count the prompt's tokens in eight places, so that equal prompts have equal vectors."""
        vector = [0.0] * EMBEDDING_SIZE
        for token_id in request.prompt_ids:
            vector[token_id % EMBEDDING_SIZE] += 1.0
        return Embedded(request.id, tuple(vector), time.monotonic_ns())


EMBEDDING_SIZE = 8
"""hidden_size of the pretended model."""
