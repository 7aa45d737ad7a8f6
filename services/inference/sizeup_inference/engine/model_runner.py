"""A step as a flat batch, and its result by sequence."""

import functools
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch

from sizeup_inference.engine.forward import (
    AsynchronousForwardPass,
    Batch,
    Forwarded,
    ForwardPass,
    Launched,
    launch,
)
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.protocol import Logprobs, Pooling
from sizeup_inference.engine.sampling.prompt_logprobs import prompt_logprobs
from sizeup_inference.engine.sampling.sampler import is_argmax, is_draw, next_draw
from sizeup_inference.engine.scheduling.scheduler import Chunk, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

_NO_MASKS: Mapping[SequenceState, "array[int]"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StepOutput:
    """The chunks that complete a sequence are sampled: from logits, or by their best token."""

    best: dict[SequenceState, int]
    """By sequence whose token the forward pass has chosen, that token; -1 where a logit is NaN or
    Inf."""
    sampled: tuple[SequenceState, ...]
    """The other sequences whose next token is due."""
    logits: torch.Tensor
    """float32[sampled, vocab_size], valid until the next step."""
    hidden_sums: dict[SequenceState, torch.Tensor]
    """By embedding sequence, the sum of the last hidden states of its chunk that its pooling takes:
    float32[hidden_size]."""
    prompt_logprobs: dict[SequenceState, tuple[Logprobs, ...] | None] = field(default_factory=dict)
    """By sequence with prompt_logprob_positions, one for each; None where logits are NaN or Inf."""


@dataclass(frozen=True, slots=True)
class LaunchedStep:
    """A step that is being computed."""

    launched: Launched
    sampled: Sequence[SequenceState]
    """In the order of the batch's samples."""
    finish: Callable[[Forwarded], StepOutput]

    def result(self) -> StepOutput:
        """Wait for the step. Raises what its computation raises."""
        return self.finish(self.launched.result())


@dataclass(frozen=True, slots=True)
class FailedLaunch:
    """A step that could not be launched."""

    error: Exception

    def result(self) -> StepOutput:
        """Raise the error of the launch."""
        raise self.error


class ModelRunner:
    """Computes steps. Used by the compute thread only."""

    def __init__(self, forward: ForwardPass) -> None:
        self._forward = forward
        self._is_asynchronous = isinstance(forward, AsynchronousForwardPass)
        self._launch = (
            forward.launch
            if isinstance(forward, AsynchronousForwardPass)
            else functools.partial(launch, forward)
        )

    def run(
        self, step: Step, masks: Mapping[SequenceState, "array[int]"] = _NO_MASKS
    ) -> StepOutput:
        """Compute the step's chunks; `masks` are those of constrained sequences."""
        return self.launch(step, masks).result()

    def can_run_ahead(self, step: Step) -> bool:
        """Return whether the step after this one can be launched before its tokens are known."""
        return self._is_asynchronous and all(
            chunk.sequence.constraint is None and self._has_token(chunk.sequence)
            for chunk in step.chunks
        )

    def _has_token(self, sequence: SequenceState) -> bool:
        """Return whether the forward pass gives a sequence's token, and not its logits only."""
        return is_argmax(sequence) or (self._forward.draws and is_draw(sequence))

    @torch.inference_mode()
    def launch(
        self,
        step: Step,
        masks: Mapping[SequenceState, "array[int]"] = _NO_MASKS,
        after: LaunchedStep | None = None,
    ) -> LaunchedStep:
        """Start a step. `after` is the one before, where it was scheduled ahead of its tokens."""
        page_size, draws = self._forward.pool.layout.page_size, self._forward.draws
        unseen = () if after is None else after.sampled
        batch, sampled = make_batch(step.chunks, page_size, masks, draws=draws, unseen=unseen)
        launched = self._launch(batch, None if after is None else after.launched)
        finish = functools.partial(self._output, step, batch, sampled)
        return LaunchedStep(launched, sampled, finish)

    @torch.inference_mode()
    def _output(
        self, step: Step, batch: Batch, sampled: Sequence[SequenceState], result: Forwarded
    ) -> StepOutput:
        tokens = zip(sampled, batch.wants_logits, result.best, strict=True)
        embedded, logprobs = self._per_chunk(step.chunks, result)
        return StepOutput(
            best={sequence: best for sequence, wants, best in tokens if not wants},
            sampled=tuple(s for s, w in zip(sampled, batch.wants_logits, strict=True) if w),
            logits=result.logits,
            hidden_sums=embedded,
            prompt_logprobs=logprobs,
        )

    def _per_chunk(
        self, chunks: Sequence[Chunk], result: Forwarded
    ) -> tuple[dict[SequenceState, torch.Tensor], dict[SequenceState, tuple[Logprobs, ...] | None]]:
        embedded: dict[SequenceState, torch.Tensor] = {}
        logprobs: dict[SequenceState, tuple[Logprobs, ...] | None] = {}
        row = 0
        for chunk in chunks:
            if result.hidden is not None:
                rows = result.hidden[row : row + chunk.length]
                if chunk.sequence.request.embed is not None:
                    embedded[chunk.sequence] = _pooled(rows, chunk).float().sum(0)
                if chunk.prompt_logprob_positions:
                    logprobs[chunk.sequence] = self._prompt_logprobs(rows, chunk)
            row += chunk.length
        return embedded, logprobs

    def _prompt_logprobs(self, rows: torch.Tensor, chunk: Chunk) -> tuple[Logprobs, ...] | None:
        positions, request = chunk.prompt_logprob_positions, chunk.sequence.request
        first = positions.start - chunk.start
        return prompt_logprobs(
            self._forward.logits,
            rows[first : first + len(positions)],
            request.prompt_ids[positions.start + 1 : positions.stop + 1],
            request.prompt_logprobs or 0,
        )


def _pooled(rows: torch.Tensor, chunk: Chunk) -> torch.Tensor:
    """Return the rows of a chunk that its sequence's pooling takes, possibly none."""
    match chunk.sequence.request.embed:
        case Pooling.LAST:
            return rows[-1:] if chunk.completes else rows[:0]
        case Pooling.CLS:
            return rows[:0] if chunk.start else rows[:1]
        case _:
            return rows


def make_batch(
    chunks: Sequence[Chunk],
    page_size: int,
    masks: Mapping[SequenceState, "array[int]"] = _NO_MASKS,
    *,
    draws: bool = False,
    unseen: Sequence[SequenceState] = (),
) -> tuple[Batch, list[SequenceState]]:
    """Lay a step's chunks out as one flat batch; return it with the sequences it samples.

    `draws`: the forward pass draws tokens. `unseen` are the samples of the step before, where the
    tokens of these chunks are not known yet.
    """
    ids: list[int] = []
    spans: list[Span] = []
    samples: list[int] = []
    sequences: list[SequenceState] = []
    for chunk in chunks:
        sequence = chunk.sequence
        table = sequence.block_table[: -(-chunk.end // page_size)]
        spans.append(Span(len(ids), chunk.length, chunk.end, tuple(table)))
        ids += [0] if unseen else sequence.token_ids[chunk.start : chunk.end]
        if chunk.is_sampled:
            samples.append(len(ids) - 1)
            sequences.append(sequence)
    drawn = {i: next_draw(s) for i, s in enumerate(sequences) if draws and is_draw(s)}
    wants_logits = [i not in drawn and not is_argmax(s) for i, s in enumerate(sequences)]
    of_best = {
        i: masks[sequence]
        for i, sequence in enumerate(sequences)
        if sequence in masks and not wants_logits[i]
    }
    index = {sequence: i for i, sequence in enumerate(unseen)}
    batch = Batch(
        ids,
        tuple(spans),
        samples,
        wants_logits,
        wants_hidden=any(c.sequence.request.embed or c.prompt_logprob_positions for c in chunks),
        masks=of_best,
        draws=drawn,
        ids_from=[index[chunk.sequence] for chunk in chunks] if unseen else (),
    )
    return batch, sequences
