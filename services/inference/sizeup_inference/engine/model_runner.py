"""The forward pass of one step. The only caller of the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.kv_pool import KVPool, Plan, Span
from sizeup_inference.engine.prompt_logprobs import prompt_logprobs
from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.engine.scheduler import Chunk, Step
from sizeup_inference.engine.sequence import SequenceState

_NO_MASKS = {"full_attention": None, "sliding_attention": None}
"""A dict makes the model skip building masks: pooled_attention masks by span."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    logits: torch.Tensor
    """float32[sampled chunks, vocab_size], in the order of the step's chunks."""
    hidden_sums: dict[SequenceState, torch.Tensor]
    """By embedding sequence, the sum of its chunk's last hidden states: float32[hidden_size]."""
    prompt_logprobs: dict[SequenceState, tuple[Logprobs, ...] | None] = field(default_factory=dict)
    """By sequence with prompt_logprob_positions, one for each; None where logits are NaN or Inf."""


class ModelRunner:
    """A model and its KV pool. Used by the compute thread only."""

    def __init__(self, model: PreTrainedModel, pool: KVPool) -> None:
        """`model` is in eval mode and its attention implementation is `pooled_attention`."""
        self._decoder: torch.nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._input_device = next(model.get_input_embeddings().parameters()).device
        self.pool = pool

    @torch.inference_mode()
    def run(self, step: Step) -> StepOutput:
        """Compute the step's chunks."""
        self.pool.begin(make_plan(step.chunks, self.pool.layout.page_size))
        hidden = self._forward(step.chunks)
        sampled: list[int] = []
        embedded: dict[SequenceState, torch.Tensor] = {}
        logprobs: dict[SequenceState, tuple[Logprobs, ...] | None] = {}
        row = 0
        for chunk in step.chunks:
            if chunk.sequence.request.embed:
                embedded[chunk.sequence] = hidden[row : row + chunk.length].float().sum(0)
            elif chunk.completes:
                sampled.append(row + chunk.length - 1)
            if chunk.prompt_logprob_positions:
                logprobs[chunk.sequence] = self._prompt_logprobs(hidden, row, chunk)
            row += chunk.length
        return StepOutput(self._logits(hidden, sampled), embedded, logprobs)

    def _forward(self, chunks: Sequence[Chunk]) -> torch.Tensor:
        """Return the last hidden states of the flat batch: [tokens, hidden_size]."""
        ids = [t for c in chunks for t in c.sequence.token_ids[c.start : c.end]]
        positions = [p for c in chunks for p in range(c.start, c.end)]
        output = self._decoder(
            input_ids=torch.tensor([ids], device=self._input_device),
            position_ids=torch.tensor([positions], device=self._input_device),
            attention_mask=_NO_MASKS,
            past_key_values=self.pool,
            use_cache=True,
            kv_pool=self.pool,
        )
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _prompt_logprobs(
        self, hidden: torch.Tensor, row: int, chunk: Chunk
    ) -> tuple[Logprobs, ...] | None:
        positions, request = chunk.prompt_logprob_positions, chunk.sequence.request
        first = row + positions.start - chunk.start
        return prompt_logprobs(
            self._head,
            hidden[first : first + len(positions)],
            request.prompt_ids[positions.start + 1 : positions.stop + 1],
            request.prompt_logprobs or 0,
        )

    def _logits(self, hidden: torch.Tensor, rows: list[int]) -> torch.Tensor:
        if not rows:
            return torch.empty(0, 0)
        picked = hidden[torch.tensor(rows, device=hidden.device)]
        logits: torch.Tensor = self._head(picked).float()
        return logits


def make_plan(chunks: Sequence[Chunk], page_size: int) -> Plan:
    """Lay a step's chunks out as one flat batch."""
    spans: list[Span] = []
    slots: list[int] = []
    for chunk in chunks:
        table = chunk.sequence.block_table
        spans.append(
            Span(
                row_start=len(slots),
                length=chunk.length,
                kv_length=chunk.end,
                block_table=tuple(table[: -(-chunk.end // page_size)]),
            )
        )
        slots.extend(
            table[p // page_size] * page_size + p % page_size for p in range(chunk.start, chunk.end)
        )
    return Plan(tuple(spans), slots)
