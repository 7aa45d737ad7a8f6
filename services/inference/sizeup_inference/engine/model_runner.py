"""A step as a flat batch, and its result by sequence."""

import functools
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass, Launched
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.protocol import Logprobs, Pooling
from sizeup_inference.engine.sampling.prompt_logprobs import prompt_logprobs
from sizeup_inference.engine.sampling.sampler import is_argmax, is_draw, next_draw
from sizeup_inference.engine.scheduling.scheduler import Chunk, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState


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
    drafts: Mapping[SequenceState, int] = field(default_factory=dict)
    """By sequence, the draft token at the position that is sampled here."""
    draft_tokens: Mapping[SequenceState, int] = field(default_factory=dict)
    """By sequence, the number of its draft tokens; in the first round only."""
    later: tuple["StepOutput", ...] = ()
    """What follows the first draft token, the second, and so on, if these are accepted."""


@dataclass(frozen=True, slots=True)
class Round:
    """The samples at one position of each sequence: after its chunk, its first draft token, ..."""

    sequences: Sequence[SequenceState]
    drafts: Mapping[SequenceState, int]
    """As in StepOutput."""


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
        raise self.error


class ModelRunner:
    """Computes steps. Used by the compute thread only."""

    def __init__(self, forward: ForwardPass) -> None:
        self._forward = forward

    def can_run_ahead(self, step: Step) -> bool:
        """Return whether the step after this one can be launched before its tokens are known."""
        return self._forward.is_asynchronous and all(
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
        masks: Mapping[SequenceState, "array[int]"],
        after: LaunchedStep | None = None,
    ) -> LaunchedStep:
        """Start a step, with the masks of constrained sequences.

        `after` is the step before, where this one was scheduled ahead of its tokens.
        """
        page_size, draws = self._forward.pool.layout.page_size, self._forward.draws
        unseen = () if after is None else after.sampled
        batch, rounds = make_batch(step.chunks, page_size, masks, draws=draws, unseen=unseen)
        launched = self._forward.launch(batch, None if after is None else after.launched)
        finish = functools.partial(self._output, step, batch, rounds)
        return LaunchedStep(launched, rounds[0].sequences, finish)

    @torch.inference_mode()
    def _output(
        self, step: Step, batch: Batch, rounds: Sequence[Round], result: Forwarded
    ) -> StepOutput:
        embedded, logprobs = self._per_chunk(step.chunks, result)
        first, *later = _by_round(rounds, batch.wants_logits, result)
        return replace(
            first,
            hidden_sums=embedded,
            prompt_logprobs=logprobs,
            draft_tokens={c.sequence: len(c.drafts) for c in step.chunks if c.drafts},
            later=tuple(later),
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
            row += chunk.length + len(chunk.drafts)
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
    masks: Mapping[SequenceState, "array[int]"],
    *,
    draws: bool = False,
    unseen: Sequence[SequenceState] = (),
) -> tuple[Batch, Sequence[Round]]:
    """Lay a step's chunks out as one flat batch; return it with its samples by round.

    `draws`: the forward pass draws tokens. `unseen` are the samples of the step before, where the
    tokens of these chunks are not known yet.
    """
    ids: list[int] = []
    spans: list[Span] = []
    samples: list[tuple[int, Chunk]] = []
    """Last row and chunk of each sequence that is sampled."""
    for chunk in chunks:
        sequence = chunk.sequence
        length, end = chunk.length + len(chunk.drafts), chunk.end + len(chunk.drafts)
        table = sequence.block_table[: -(-end // page_size)]
        spans.append(Span(len(ids), length, end, tuple(table)))
        ids += [0] if unseen else sequence.token_ids[chunk.start : chunk.end]
        if chunk.is_sampled:
            samples.append((len(ids) - 1, chunk))
        ids += chunk.drafts
    rounds, rows = _rounds(samples)
    sequences = [sequence for r in rounds for sequence in r.sequences]
    drawn = {
        i: next_draw(s)
        for i, s in enumerate(rounds[0].sequences)
        # A number belongs to each token of the output, and drafts may be rejected.
        if draws and is_draw(s) and s not in rounds[0].drafts
    }
    wants_logits = [i not in drawn and not is_argmax(s) for i, s in enumerate(sequences)]
    of_best = {
        i: masks[sequence]
        for i, sequence in enumerate(rounds[0].sequences)
        if sequence in masks and not wants_logits[i]
    }
    index = {sequence: i for i, sequence in enumerate(unseen)}
    batch = Batch(
        ids,
        tuple(spans),
        rows,
        wants_logits,
        wants_hidden=any(c.sequence.request.embed or c.prompt_logprob_positions for c in chunks),
        masks=of_best,
        draws=drawn,
        ids_from=[index[chunk.sequence] for chunk in chunks] if unseen else (),
    )
    return batch, rounds


def _rounds(samples: Sequence[tuple[int, Chunk]]) -> tuple[Sequence[Round], Sequence[int]]:
    """Return the rounds of samples, at least one, and the rows of all, round by round."""
    count = 1 + max((len(chunk.drafts) for _, chunk in samples), default=0)
    rounds, rows = [], []
    for i in range(count):
        drafted = [(row, chunk) for row, chunk in samples if len(chunk.drafts) >= i]
        drafts = {c.sequence: c.drafts[i] for _, c in drafted if len(c.drafts) > i}
        rounds.append(Round([chunk.sequence for _, chunk in drafted], drafts))
        rows += [row + i for row, _ in drafted]
    return rounds, rows


def _by_round(
    rounds: Sequence[Round], wants_logits: Sequence[bool], result: Forwarded
) -> Iterator[StepOutput]:
    sample = row = 0
    for r in rounds:
        wants = wants_logits[sample : sample + len(r.sequences)]
        best = result.best[sample : sample + len(r.sequences)]
        sampled = tuple(s for s, w in zip(r.sequences, wants, strict=True) if w)
        yield StepOutput(
            best={s: b for s, b, w in zip(r.sequences, best, wants, strict=True) if not w},
            sampled=sampled,
            logits=result.logits[row : row + len(sampled)],
            hidden_sums={},
            drafts=r.drafts,
        )
        sample += len(r.sequences)
        row += len(sampled)
