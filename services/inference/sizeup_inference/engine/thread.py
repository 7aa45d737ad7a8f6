"""The compute thread: take commands, schedule, run, sample, deliver."""

import logging
import queue
import threading
import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

import torch

from sizeup_inference.engine.model_runner import ModelRunner, StepOutput
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
    PromptLogprobs,
    QueueFullError,
    RequestTooLargeError,
    Token,
    TooManyChoicesError,
)
from sizeup_inference.engine.sampler import sample
from sizeup_inference.engine.scheduler import Scheduler, Step
from sizeup_inference.engine.sequence import Sequence

log = logging.getLogger(__name__)

_FATAL_FAILURES = 3
"""Steps that fail in a row before the thread gives up: one bad request is not a broken device."""


@dataclass(frozen=True, slots=True)
class _Submit:
    request: EngineRequest
    at_ns: int


@dataclass(frozen=True, slots=True)
class _Cancel:
    request_id: str


@dataclass(frozen=True, slots=True)
class _Close:
    pass


class EngineThread:
    """An Engine on a thread of its own. Nothing else touches the scheduler, runner or pool."""

    def __init__(
        self,
        runner: ModelRunner,
        scheduler: Scheduler,
        deliver: Deliver,
        *,
        max_waiting: int,
        threads: int,
    ) -> None:
        """Start the thread. `threads` is the CPU threads of one step."""
        self._runner = runner
        self._scheduler = scheduler
        self._deliver = deliver
        self._capacity = scheduler.limits.max_num_seqs + max_waiting
        self._inbox: queue.SimpleQueue[_Submit | _Cancel | _Close] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished: dict[str, int] = {}
        """Request id -> choices still to finish. Guarded by the lock, like _dead."""
        self._dead = False
        self._admitted: set[str] = set()
        self._hidden_sums: dict[Sequence, torch.Tensor] = {}
        self._failures = 0
        self._steps = self._prompt_tokens = self._completion_tokens = 0
        self._stats = self._snapshot(batch_size=0, seconds=0.0)
        self._thread = threading.Thread(
            target=self._main, args=(threads,), name="compute", daemon=True
        )
        self._thread.start()

    def submit(self, request: EngineRequest) -> None:
        """Queue a request, or say at once why not."""
        if not request.prompt_ids:
            raise ValueError(f"request {request.id!r} has no prompt")
        total = len(request.prompt_ids) + (0 if request.embed else request.max_tokens)
        pages = -(-total // self._scheduler.limits.page_size)
        if pages > self._scheduler.pages.total:
            raise RequestTooLargeError(
                f"{total} tokens need {pages} pages of {self._scheduler.pages.total}"
            )
        if request.choices > self._capacity:
            raise TooManyChoicesError(
                f"{request.choices} choices, and {self._capacity} is the most that run and wait"
            )
        with self._lock:
            if self._dead:
                raise EngineDeadError("the compute thread has ended")
            if request.id in self._unfinished:
                raise ValueError(f"request {request.id!r} has not ended")
            if sum(self._unfinished.values()) + request.choices > self._capacity:
                raise QueueFullError(f"{self._capacity} sequences run or wait")
            self._unfinished[request.id] = request.choices
            self._inbox.put(_Submit(request, time.monotonic_ns()))

    def cancel(self, request_id: str) -> None:
        """End a request at the next step."""
        self._inbox.put(_Cancel(request_id))

    def stats(self) -> EngineStats:
        """Return the snapshot of the latest step."""
        return self._stats

    def is_alive(self) -> bool:
        """Tell whether the compute thread runs."""
        return self._thread.is_alive() and not self._dead

    def close(self, timeout_seconds: float) -> None:
        """Fail what runs, stop the thread and wait for it at most this long."""
        self._inbox.put(_Close())
        self._thread.join(timeout_seconds)

    def _main(self, threads: int) -> None:
        # OpenMP keeps the number of threads per calling thread.
        torch.set_num_threads(threads)
        try:
            while self._take_commands():
                self._step()
        except Exception:
            log.exception("engine.died")
        finally:
            self._die()

    def _take_commands(self) -> bool:
        """Obey everything in the inbox, waiting while there is no work; False means close."""
        while True:
            try:
                command = self._inbox.get(block=not self._scheduler.has_work)
            except queue.Empty:
                return True
            match command:
                case _Submit(request, at_ns):
                    choices = range(request.choices)
                    self._scheduler.add(Sequence(request, c, at_ns) for c in choices)
                case _Cancel(request_id):
                    self._cancel(request_id)
                case _Close():
                    return False
            self._refresh_stats()

    def _cancel(self, request_id: str) -> None:
        if self._forget(request_id):
            # Before the event, so that who gets it finds the pages free.
            self._refresh_stats()
            self._deliver([Cancelled(request_id, time.monotonic_ns())])

    def _step(self) -> None:
        started = time.monotonic()
        step = self._scheduler.schedule()
        if not step.chunks:
            raise RuntimeError("the scheduler has work and makes no progress")
        self._refresh_stats()  # a step may hang, and who watches must see that there is work
        events: list[EngineEvent] = list(self._admissions(step))
        try:
            output = self._runner.run(step)
            self._scheduler.commit(step)
            self._sample(step, output, events)
            self._embed(step, output, events)
        except Exception:
            log.exception("step.failed", extra={"batch_size": len(step.chunks)})
            self._failures += 1
            lost = (chunk.sequence.request.id for chunk in step.chunks)
            events += self._fail(lost, "the model failed on this step")
        else:
            self._failures = 0
        self._count(step, time.monotonic() - started)
        self._deliver(events)
        if self._failures >= _FATAL_FAILURES:
            raise RuntimeError(f"{self._failures} steps failed in a row")

    def _admissions(self, step: Step) -> list[Admitted]:
        now = time.monotonic_ns()
        first = [s.request.id for s in step.admitted if s.request.id not in self._admitted]
        self._admitted.update(first)
        return [Admitted(request_id, now) for request_id in dict.fromkeys(first)]

    def _sample(self, step: Step, output: StepOutput, events: list[EngineEvent]) -> None:
        sequences = [
            c.sequence for c in step.chunks if c.completes and not c.sequence.request.embed
        ]
        sampled = list(zip(sequences, sample(output.logits, sequences), strict=True))
        told = output.prompt_logprobs.items()
        lost = {sequence.request.id for sequence, made in (*sampled, *told) if made is None}
        events += self._fail(lost, "the model's output is not a number")
        now = time.monotonic_ns()
        events += self._tell_prompts(output, lost, now)
        for sequence, drawn in sampled:
            request_id = sequence.request.id
            if drawn is None or request_id in lost:
                continue
            token_id, logprobs = drawn
            finish = sequence.append(token_id)
            events.append(Token(request_id, sequence.choice, token_id, now, finish, logprobs))
            self._completion_tokens += 1
            if finish is not None:
                self._finish(sequence)

    @staticmethod
    def _tell_prompts(
        output: StepOutput, lost: Container[str], now: int
    ) -> Iterator[PromptLogprobs]:
        for sequence, logprobs in output.prompt_logprobs.items():
            if logprobs is None or sequence.request.id in lost:
                continue
            start = sequence.num_prompt_logprobs + 1
            sequence.num_prompt_logprobs += len(logprobs)
            yield PromptLogprobs(sequence.request.id, start, logprobs, now)

    def _embed(self, step: Step, output: StepOutput, events: list[EngineEvent]) -> None:
        for chunk in step.chunks:
            sequence = chunk.sequence
            if sequence not in output.hidden_sums:
                continue
            # A preempted prompt starts over, and what it had summed up is void.
            earlier = self._hidden_sums.pop(sequence, None)
            total = output.hidden_sums[sequence]
            if chunk.start and earlier is not None:
                total = total + earlier
            if chunk.completes:
                vector = tuple((total / chunk.end).tolist())
                events.append(Embedded(sequence.request.id, vector, time.monotonic_ns()))
                self._finish(sequence)
            else:
                self._hidden_sums[sequence] = total

    def _fail(self, request_ids: Iterable[str], message: str) -> list[Failed]:
        """End requests and free their pages; those that have ended already are left alone."""
        now = time.monotonic_ns()
        return [Failed(i, message, now) for i in request_ids if self._forget(i)]

    def _finish(self, sequence: Sequence) -> None:
        """Free a choice's pages, and forget its request with the last choice."""
        self._scheduler.remove(sequence)
        request_id = sequence.request.id
        with self._lock:
            self._unfinished[request_id] -= 1
            if self._unfinished[request_id] > 0:
                return
            del self._unfinished[request_id]
        self._admitted.discard(request_id)

    def _forget(self, request_id: str) -> bool:
        """Drop a request and its pages; False when it has ended already."""
        for sequence in self._scheduler.remove_request(request_id):
            self._hidden_sums.pop(sequence, None)
        self._admitted.discard(request_id)
        with self._lock:
            return self._unfinished.pop(request_id, None) is not None

    def _count(self, step: Step, seconds: float) -> None:
        self._steps += 1
        self._prompt_tokens += sum(
            max(0, min(c.end, len(c.sequence.request.prompt_ids)) - c.start) for c in step.chunks
        )
        self._stats = self._snapshot(len(step.chunks), seconds)

    def _refresh_stats(self) -> None:
        self._stats = self._snapshot(self._stats.last_batch_size, self._stats.last_step_seconds)

    def _snapshot(self, batch_size: int, seconds: float) -> EngineStats:
        pages = self._scheduler.pages
        return EngineStats(
            running=len(self._scheduler.running),
            waiting=len(self._scheduler.waiting),
            pages_used=pages.total - pages.num_free,
            pages_total=pages.total,
            steps=self._steps,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            preemptions=self._scheduler.num_preemptions,
            last_batch_size=batch_size,
            last_step_seconds=seconds,
        )

    def _die(self) -> None:
        """Refuse what comes from here on and fail what was taken, queued or running."""
        with self._lock:
            self._dead = True
            lost = list(self._unfinished)
            self._unfinished.clear()
        now = time.monotonic_ns()
        self._deliver([Failed(i, "the engine has stopped", now) for i in lost])
