"""The draft model: follows the sequences of the steps and proposes their next tokens.

Its KV pool has as many pages of the same size as that of the large model, so block tables index
both. What it computes has no influence on the output, only on how many of its tokens are accepted:
it may be late, run over tokens that were rejected, or be left out of a step altogether.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from sizeup_inference.engine.drafting.policy import DraftPolicy, Load
from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.sampling.sampler import is_argmax, sample
from sizeup_inference.engine.scheduling.scheduler import Chunk, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

log = logging.getLogger(__name__)

_CATCH_UP = 64
"""Tokens of earlier steps that a step computes beside its own: they delay every stream, and those
of a draft model of a tenth of the size take as long as 6 of the large one."""


@dataclass(slots=True)
class _Proposal:
    """The draft tokens of one sequence."""

    sequence: SequenceState
    room: int
    num_tokens: int
    """Of the sequence, before the step."""
    tokens: list[int] = field(default_factory=list)


_Part = tuple[SequenceState, Sequence[int], int, bool]
"""A sequence, tokens of it, the position after them, and whether the next token is sampled."""


class Drafter:
    """Proposes tokens for steps. Used by the compute thread only."""

    def __init__(
        self, forward: ForwardPass, policy: DraftPolicy, *, vocabulary: int, target: int
    ) -> None:
        """`forward` has a KV pool with the pages of the large model's.

        `vocabulary` is the size of the draft model's, `target` of the large model's. Their common
        tokens are the same; both may be padded.
        """
        self.forward = forward
        self._policy = policy
        self._vocabulary, self._target = vocabulary, target
        self._page_size = forward.pool.layout.page_size
        self._contents = [-1] * forward.pool.layout.pages
        """By page, the id of the content that was drafted in it (SequenceState.page_ids)."""
        self._proposals: list[_Proposal] = []
        self._load = Load(0, 0, 0, 0, 0)
        self._seconds = 0.0
        self.is_broken = False
        """Whether an error has ended drafting."""
        self.length = 0
        """Draft tokens of each sequence in the latest step."""
        self.num_tokens = self.num_accepted = 0
        """Draft tokens, and the accepted ones, since start."""

    def extend(
        self, step: Step, reserve: Callable[[Step, int], dict[SequenceState, int]], unfinished: int
    ) -> Step:
        """Return the step with draft tokens where they pay. Never raises: a fault ends drafting.

        `reserve` is Scheduler.reserve_drafts; `unfinished` as in Load.
        """
        started = time.monotonic()
        self._proposals, self.length = [], 0
        if self.is_broken:
            return step
        try:
            self._load = self._measure(step, unfinished)
            self.length = self._policy.tokens(self._load)
            if self.length:
                self._propose(step, reserve(step, self.length))
        except (MemoryError, torch.OutOfMemoryError):
            log.warning("drafting.out_of_memory")
            self._proposals = []
        except Exception:
            log.exception("drafting.failed")
            self.is_broken, self._proposals = True, []
        self._seconds = time.monotonic() - started if self.length else 0.0
        drafts = {p.sequence: tuple(p.tokens) for p in self._proposals if p.tokens}
        if not drafts:
            return step
        chunks = (replace(c, drafts=drafts.get(c.sequence, ())) for c in step.chunks)
        return replace(step, chunks=tuple(chunks))

    def observe(self, seconds: float) -> None:
        """Learn from the step that `extend` returned last; `seconds` include those of `extend`."""
        drafted = 0
        for proposal in self._proposals:
            tried, accepted = _compare(proposal)
            self._policy.observe_tokens(tried, accepted)
            # The last draft token was never an input of the draft model.
            proposal.sequence.num_drafted += min(accepted, len(proposal.tokens) - 1)
            self.num_accepted += accepted
            drafted += len(proposal.tokens)
        self.num_tokens += drafted
        if not self.is_broken:
            self._policy.observe(self._load, drafted, seconds - self._seconds, self._seconds)

    def _measure(self, step: Step, unfinished: int) -> Load:
        draftable = [c for c in step.chunks if c.sequence.is_draftable]
        return Load(
            sequences=len(step.chunks),
            draftable=len(draftable),
            missing=sum(c.start - self._known(c.sequence) for c in draftable),
            decodes=sum(chunk.decodes for chunk in step.chunks),
            unfinished=unfinished,
        )

    def _known(self, sequence: SequenceState) -> int:
        """Return the leading tokens that are computed, at first those of cached pages."""
        if not sequence.num_drafted:
            known = 0
            for page, content in zip(sequence.block_table, sequence.page_ids, strict=False):
                if self._contents[page] != content:
                    break
                known += self._page_size
            sequence.num_drafted = known
        return sequence.num_drafted

    def _propose(self, step: Step, rooms: dict[SequenceState, int]) -> None:
        batch, growing = self._catch_up(step.chunks, rooms)
        self._proposals = growing
        ahead = 0
        while batch.ids:
            for proposal, token in zip(growing, self._run(batch, growing, ahead), strict=True):
                if token is not None:
                    proposal.tokens.append(token)
            ahead += 1
            growing = [p for p in growing if len(p.tokens) == ahead < p.room]
            batch = self._batch(
                (p.sequence, p.tokens[-1:], p.num_tokens + len(p.tokens), True) for p in growing
            )
        self._proposals = [p for p in self._proposals if p.tokens]

    def _catch_up(
        self, chunks: Sequence[Chunk], rooms: dict[SequenceState, int]
    ) -> tuple[Batch, list[_Proposal]]:
        """Lay out the tokens that the draft model lacks, decoding sequences first.

        Returns them with the sequences of which it lacks none any more and that have room.
        """
        left = _CATCH_UP + sum(chunk.length for chunk in chunks)
        parts: list[_Part] = []
        ready = []
        for chunk in sorted(chunks, key=lambda c: c.sequence not in rooms):
            sequence = chunk.sequence
            if not (left and sequence.is_draftable):
                continue
            self._remember(sequence)
            end = min(chunk.end, sequence.num_drafted + left)
            ids = sequence.token_ids[sequence.num_drafted : end]
            if max(ids) >= self._vocabulary:
                sequence.is_draftable = False
                continue
            left -= len(ids)
            sequence.num_drafted = end
            is_ready = end == sequence.num_tokens and sequence in rooms
            parts.append((sequence, ids, end, is_ready))
            if is_ready:
                ready.append(_Proposal(sequence, rooms[sequence], end))
        return self._batch(parts), ready

    def _batch(self, parts: Iterable[_Part]) -> Batch:
        ids: list[int] = []
        spans: list[Span] = []
        samples: list[int] = []
        wants_logits: list[bool] = []
        for sequence, new, end, is_sampled in parts:
            table = sequence.block_table[: -(-end // self._page_size)]
            spans.append(Span(len(ids), len(new), end, tuple(table)))
            ids += new
            if is_sampled:
                samples.append(len(ids) - 1)
                wants_logits.append(not is_argmax(sequence))
        return Batch(ids, tuple(spans), samples, wants_logits, wants_hidden=False)

    def _run(
        self, batch: Batch, proposals: Sequence[_Proposal], ahead: int
    ) -> Sequence[int | None]:
        """Compute a batch and return the next token of each proposal, None where there is none."""
        started = time.monotonic()
        result = self.forward.run(batch)
        tokens = self._tokens(result, batch, [p.sequence for p in proposals], ahead)
        self._policy.observe_draft(len(batch.ids), time.monotonic() - started)
        return [t if t is not None and 0 <= t < self._target else None for t in tokens]

    def _tokens(
        self, result: Forwarded, batch: Batch, sequences: Sequence[SequenceState], ahead: int
    ) -> Sequence[int | None]:
        wanting = [s for s, w in zip(sequences, batch.wants_logits, strict=True) if w]
        logits = result.logits[:, : self._target]
        drawn = dict(zip(wanting, sample(logits, wanting, ahead=ahead), strict=True))
        sampled = {s: None if token is None else token.token_id for s, token in drawn.items()}
        pairs = zip(sequences, result.best, strict=True)
        return [sampled.get(sequence, best) for sequence, best in pairs]

    def _remember(self, sequence: SequenceState) -> None:
        """Record the sequence's cached pages that earlier steps have drafted, the latest first."""
        known = min(sequence.num_drafted // self._page_size, len(sequence.page_ids))
        for index in reversed(range(known)):
            page, content = sequence.block_table[index], sequence.page_ids[index]
            if self._contents[page] == content:
                return
            self._contents[page] = content


def _compare(proposal: _Proposal) -> tuple[int, int]:
    """Return how many draft tokens a step tried, and how many of these it accepted."""
    sampled = proposal.sequence.token_ids[proposal.num_tokens :]
    pairs = list(zip(proposal.tokens, sampled, strict=False))
    accepted = next((i for i, (draft, token) in enumerate(pairs) if draft != token), len(pairs))
    return min(accepted + 1, len(pairs)), accepted
