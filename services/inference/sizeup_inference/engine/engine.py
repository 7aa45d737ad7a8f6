"""Continuous batching: schedule, run, sample, deliver. One thread only; see thread.py.

On a device that computes while the host goes on, the next step is launched before the tokens of the
present one are read, where it depends on them on the device only.
"""

import logging
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from sizeup_inference.engine.drafting.accepted import after_accepted
from sizeup_inference.engine.drafting.drafter import Drafter
from sizeup_inference.engine.model_runner import FailedLaunch, LaunchedStep, ModelRunner, StepOutput
from sizeup_inference.engine.protocol import (
    Admitted,
    Cancelled,
    Deliver,
    Embedded,
    EngineEvent,
    EngineRequest,
    EngineStats,
    Failed,
    Pooling,
    PromptLogprobs,
    RequestTooLargeError,
    Token,
)
from sizeup_inference.engine.sampling.masks import mask, masks_of
from sizeup_inference.engine.sampling.sampler import Sampled, sample
from sizeup_inference.engine.scheduling.scheduler import Scheduler, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

log = logging.getLogger(__name__)

_MAX_FAILED_STEPS = 3
"""Consecutive failed steps that end the engine: one bad request is not a broken device."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """A step between its launch and its results."""

    step: Step
    launched: LaunchedStep | FailedLaunch
    masks: Mapping[SequenceState, "array[int]"]
    rejected: Mapping[str, str]
    """By request, the error of its constraint."""
    started_at: float
    """time.monotonic()"""

    def live_step(self) -> Step:
        """Return the step without sequences that have ended since: those hold no pages."""
        chunks = tuple(chunk for chunk in self.step.chunks if chunk.sequence.block_table)
        return replace(self.step, chunks=chunks)


class Engine:
    """The requests in the scheduler and the model that computes them."""

    def __init__(
        self,
        runner: ModelRunner,
        scheduler: Scheduler,
        deliver: Deliver,
        drafter: Drafter | None = None,
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._drafter = drafter
        self._deliver = deliver
        self._events: list[EngineEvent] = []
        """Events of the current step, not yet delivered."""
        self._hidden_sums: dict[SequenceState, torch.Tensor] = {}
        """Of embeddings in prefill, the sum of the hidden states so far: float32[hidden_size]."""
        self._ahead: _Flight | None = None
        """The next step, where it was launched before the tokens of the latest one were known."""
        self._finished_at = 0.0
        """When the latest step was finished, in time.monotonic()."""
        self._failed_steps = 0
        self._steps = self._prompt_tokens = self._completion_tokens = 0
        self.stats = self._snapshot(batch_size=0, seconds=0.0)
        """Replaced as a whole and never changed, so any thread may read it."""

    @property
    def has_work(self) -> bool:
        return self._scheduler.has_work

    @property
    def is_empty(self) -> bool:
        """Whether no state of any request is left."""
        return not (self.has_work or self._hidden_sums)

    def check(self, request: EngineRequest) -> None:
        """Raise for a request that can never run. Thread-safe: reads constants only."""
        if not request.prompt_ids:
            raise ValueError(f"request {request.id!r} has an empty prompt")
        total = len(request.prompt_ids) + (0 if request.embed else request.max_tokens)
        needed, exist = self._scheduler.pages_for(total), self._scheduler.pages.total
        if needed > exist:
            raise RequestTooLargeError(
                f"{total} tokens need {needed} KV cache pages, the cache has {exist}"
            )

    def add(self, request: EngineRequest) -> None:
        """Append a request's choices to the waiting queue."""
        self._scheduler.add(SequenceState(request, choice) for choice in range(request.choices))
        self._refresh_stats()

    def cancel(self, request_id: str) -> None:
        """Drop a request and deliver Cancelled; finished and unknown ids are ignored."""
        if self._drop(request_id, failed=False):
            self._forget_dead_flight()
            # Before the event: its receiver sees the pages free.
            self._refresh_stats()
            self._deliver([Cancelled(request_id, time.monotonic_ns())])

    def step(self) -> None:
        """Finish one forward pass and deliver its events; the next one may run by then.

        A step that raises fails its own requests. Raises RuntimeError after several in a row.
        """
        flight = self._ahead or self._launch(self._schedule())
        self._ahead = self._launch_ahead(flight)
        step = self._finish(flight)
        # A step that was launched ahead waits for the device first.
        started, self._finished_at = max(flight.started_at, self._finished_at), time.monotonic()
        seconds = self._finished_at - started
        if step is not None:
            self._failed_steps = 0
            self._scheduler.observe(step, seconds)
            if self._drafter is not None:
                self._drafter.observe(seconds)
        self._count(step or flight.step, seconds)
        self._forget_dead_flight()
        events, self._events = self._events, []
        self._deliver(events)
        if self._failed_steps >= _MAX_FAILED_STEPS:
            raise RuntimeError(f"{self._failed_steps} consecutive steps failed")

    def _schedule(self) -> Step:
        step = self._scheduler.schedule()
        if not step.chunks:
            raise RuntimeError("the scheduler has work and makes no progress")
        # Published before the forward pass: stall detection needs to see the work if it hangs.
        self._refresh_stats()
        now = time.monotonic_ns()
        # The queue is first come, first served, so choice 0 leaves it first.
        self._events += [
            Admitted(s.request.id, now, cached_tokens=s.num_computed)
            for s in step.admitted
            if s.choice == 0
        ]
        return step

    def _launch(self, step: Step, after: LaunchedStep | None = None) -> _Flight:
        """Start a step; an error is raised when it is finished."""
        started_at = time.monotonic()
        if self._drafter is not None:
            unfinished = self._scheduler.num_unfinished
            step = self._drafter.extend(step, self._scheduler.reserve_drafts, unfinished)
        try:
            masks, rejected = masks_of(c.sequence for c in step.chunks if c.is_sampled)
            launched = self._runner.launch(step, masks, after)
        except Exception as error:  # noqa: BLE001  # of the step, like those of its result
            return _Flight(step, FailedLaunch(error), {}, {}, started_at)
        return _Flight(step, launched, masks, rejected, started_at)

    def _launch_ahead(self, flight: _Flight) -> _Flight | None:
        """Start the step after one whose tokens are not known yet, if the device can go on."""
        if self._drafter is not None and not self._drafter.is_broken:
            return None  # it drafts from the tokens of the present step
        if isinstance(flight.launched, FailedLaunch) or not self._runner.can_run_ahead(flight.step):
            return None
        step = self._scheduler.schedule_ahead(flight.step)
        return None if step is None else self._launch(step, flight.launched)

    def _forget_dead_flight(self) -> None:
        """Drop the step launched ahead once all of its sequences have ended."""
        if self._ahead is not None and not self._ahead.live_step().chunks:
            self._ahead = None

    def _finish(self, flight: _Flight) -> Step | None:
        """Take over a step's results; None if any of it raised, which fails its requests."""
        step = flight.live_step()
        try:
            output = flight.launched.result()
            self._scheduler.commit(step)
            mask(output.logits, output.sampled, flight.masks)
            self._sample(output, flight.rejected)
            for later in after_accepted(output):
                for sequence in (*later.best, *later.sampled):
                    self._scheduler.accept_draft(sequence)
                self._sample(later, {})
            self._embed(step, output)
        except Exception as error:
            log.exception("step.failed", extra={"batch_size": len(step.chunks)})
            self._fail_step(step, error)
            return None
        return step

    def _sample(self, output: StepOutput, rejected: Mapping[str, str]) -> None:
        for request_id, message in rejected.items():
            self._fail([request_id], message, is_invalid=True)
        sampled = list(zip(output.sampled, sample(output.logits, output.sampled), strict=True))
        sampled += [
            (s, None if i < 0 else Sampled(i, None))
            for s, i in output.best.items()
            if s.block_table  # not ended since the step was launched
        ]
        results = (*sampled, *output.prompt_logprobs.items())
        invalid = {sequence.request.id for sequence, result in results if result is None}
        self._fail(invalid, "the model produced NaN or Inf logits")
        invalid |= rejected.keys()
        now = time.monotonic_ns()
        self._events += self._prompt_logprobs(output, invalid, now)
        for sequence, drawn in sampled:
            request_id = sequence.request.id
            if drawn is None or request_id in invalid:
                continue
            finish = sequence.append(drawn.token_id)
            self._events.append(
                Token(
                    request_id,
                    sequence.choice,
                    drawn.token_id,
                    now,
                    finish,
                    drawn.logprobs,
                    draft_tokens=output.draft_tokens.get(sequence, 0),
                    accepted=output.drafts.get(sequence) == drawn.token_id,
                )
            )
            self._completion_tokens += 1
            if finish is not None:
                self._scheduler.remove(sequence)

    @staticmethod
    def _prompt_logprobs(
        output: StepOutput, invalid: set[str], now: int
    ) -> Iterator[PromptLogprobs]:
        for sequence, logprobs in output.prompt_logprobs.items():
            if logprobs is None or sequence.request.id in invalid:
                continue
            start = sequence.num_prompt_logprobs + 1
            sequence.num_prompt_logprobs += len(logprobs)
            yield PromptLogprobs(sequence.request.id, start, logprobs, now)

    def _embed(self, step: Step, output: StepOutput) -> None:
        for chunk in step.chunks:
            sequence = chunk.sequence
            if sequence not in output.hidden_sums:
                continue
            total = output.hidden_sums[sequence]
            # A preempted prompt starts over at 0, and its earlier sum is discarded. After a cached
            # prefix it starts later, but then only the last token is pooled, and the sum is 0.
            earlier = self._hidden_sums.pop(sequence, None)
            if chunk.start and earlier is not None:
                total = total + earlier
            if not chunk.completes:
                self._hidden_sums[sequence] = total
                continue
            if not total.isfinite().all():
                self._fail([sequence.request.id], "the model produced NaN or Inf hidden states")
                continue
            count = chunk.end if sequence.request.embed is Pooling.MEAN else 1
            vector = array("f", (total / count).tolist())
            self._scheduler.remove(sequence)
            self._events.append(Embedded(sequence.request.id, vector, time.monotonic_ns()))

    def _fail_step(self, step: Step, error: Exception) -> None:
        request_ids = dict.fromkeys(chunk.sequence.request.id for chunk in step.chunks)
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            # Smaller steps, or the same ones later, succeed: the device is not broken.
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.empty_cache()
            self._fail(request_ids, "out of memory in the forward pass")
            return
        self._failed_steps += 1
        self._fail(request_ids, "the forward pass failed")

    def _fail(self, request_ids: Iterable[str], message: str, *, is_invalid: bool = False) -> None:
        """Drop requests and free their pages; finished requests are left alone."""
        now = time.monotonic_ns()
        self._events += [
            Failed(i, message, now, is_invalid) for i in request_ids if self._drop(i, failed=True)
        ]

    def _drop(self, request_id: str, *, failed: bool) -> bool:
        """Remove a request's sequences; False when it has none left, because it has finished.

        The pages of a failed one leave the prefix cache.
        """
        removed = self._scheduler.remove_request(request_id, uncache=failed)
        for sequence in removed:
            self._hidden_sums.pop(sequence, None)
        return bool(removed)

    def _count(self, step: Step, seconds: float) -> None:
        self._steps += 1
        self._prompt_tokens += sum(
            max(0, min(c.end, len(c.sequence.request.prompt_ids)) - c.start) for c in step.chunks
        )
        self.stats = self._snapshot(len(step.chunks), seconds)

    def _refresh_stats(self) -> None:
        self.stats = self._snapshot(self.stats.last_batch_size, self.stats.last_step_seconds)

    def _snapshot(self, batch_size: int, seconds: float) -> EngineStats:
        pages, prefix_cache = self._scheduler.pages, self._scheduler.prefix_cache
        drafter = self._drafter
        return EngineStats(
            running=len(self._scheduler.running),
            waiting=len(self._scheduler.waiting),
            pages_used=pages.total - pages.num_free,
            pages_total=pages.total,
            steps=self._steps,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            prefix_cache_queries=prefix_cache.queries,
            prefix_cache_hits=prefix_cache.hits,
            preemptions=self._scheduler.num_preemptions,
            last_batch_size=batch_size,
            last_step_seconds=seconds,
            draft_tokens=drafter.num_tokens if drafter else 0,
            draft_accepted_tokens=drafter.num_accepted if drafter else 0,
            draft_length=drafter.length if drafter else 0,
        )
