"""The forward pass through transformers' own modules, on any device."""

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import Batch, Forwarded
from sizeup_inference.engine.forwards.attention import NO_MASKS
from sizeup_inference.engine.forwards.gathered_attention import GatheredKV
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.sampling.masks import excluded
from sizeup_inference.engine.sampling.torch_sampling import argmax_rows


class TransformersForward:
    """A transformers model whose attention implementation is `pooled_attention`."""

    draws = False

    def __init__(self, model: PreTrainedModel, pool: KVPool) -> None:
        """`model` is in eval mode."""
        self._decoder: torch.nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._input_device = next(model.get_input_embeddings().parameters()).device
        self.pool = pool

    @torch.inference_mode()
    def run(self, batch: Batch) -> Forwarded:
        """Compute a batch, storing its keys and values in the pool."""
        step_kv = GatheredKV(self.pool, batch.spans)
        positions = [p for s in batch.spans for p in range(s.kv_length - s.length, s.kv_length)]
        output = self._decoder(
            input_ids=torch.tensor([batch.ids], device=self._input_device),
            position_ids=torch.tensor([positions], device=self._input_device),
            attention_mask=NO_MASKS,
            past_key_values=step_kv,
            use_cache=True,
            step_kv=step_kv,
        )
        hidden: torch.Tensor = output.last_hidden_state[0]
        best, logits = self._sample(hidden, batch)
        return Forwarded(best, logits, hidden if batch.wants_hidden else None)

    def _sample(self, hidden: torch.Tensor, batch: Batch) -> tuple[list[int], torch.Tensor]:
        """Find the best token of every sample, and widen the logits of those that want them."""
        if not batch.samples:
            return [], torch.empty(0, 0)
        logits = self._head(hidden[torch.tensor(batch.samples, device=hidden.device)])
        for i, mask in batch.masks.items():  # rows whose logits are not wanted
            logits[i].masked_fill_(excluded(mask, logits[i]), -torch.inf)
        best = argmax_rows(logits).tolist()
        wanted = [i for i, wants in enumerate(batch.wants_logits) if wants]
        if len(wanted) < len(logits):
            logits = logits[torch.tensor(wanted, dtype=torch.long, device=logits.device)]
        return best, logits.float()

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32[rows, vocab_size] of last hidden states [rows, hidden_size]."""
        logits: torch.Tensor = self._head(hidden).float()
        return logits
