"""The forward pass through transformers' own modules, on any device."""

from itertools import chain

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.forwards.attention import NO_MASKS, StepKV
from sizeup_inference.engine.forwards.gathered_attention import GatheredKV
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.sampling.masks import exclude
from sizeup_inference.engine.sampling.torch_sampling import argmax_rows


class ModuleForward(ForwardPass):
    """A transformers model whose attention implementation is `pooled_attention`."""

    def __init__(self, model: PreTrainedModel, pool: KVPool) -> None:
        """`model` is in eval mode."""
        self._decoder: torch.nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self.pool = pool

    def _hidden(self, ids: torch.Tensor, positions: torch.Tensor, step_kv: StepKV) -> torch.Tensor:
        """Return the last hidden states of a step: [tokens, hidden_size]."""
        output = self._decoder(
            input_ids=ids[None],
            position_ids=positions[None],
            attention_mask=NO_MASKS,
            past_key_values=step_kv,
            use_cache=True,
            step_kv=step_kv,
        )
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._head(hidden).float()
        return logits


class TransformersForward(ModuleForward):
    """Attention sequence by sequence, on the device of each layer."""

    def __init__(self, model: PreTrainedModel, pool: KVPool) -> None:
        super().__init__(model, pool)
        embedding = model.get_input_embeddings()
        self._input_device = next(chain(embedding.parameters(), embedding.buffers())).device

    @torch.inference_mode()
    def run(self, batch: Batch) -> Forwarded:
        places = [p for s in batch.spans for p in range(s.kv_length - s.length, s.kv_length)]
        ids, positions = torch.tensor([batch.ids, places], device=self._input_device)
        hidden = self._hidden(ids, positions, GatheredKV(self.pool, batch.spans))
        best, logits = self._sample(hidden, batch)
        return Forwarded(best, logits, hidden if batch.wants_hidden else None)

    def _sample(self, hidden: torch.Tensor, batch: Batch) -> tuple[list[int], torch.Tensor]:
        """Find the best token of every sample, and widen the logits of those that want them."""
        if not batch.samples:
            return [], torch.empty(0, 0)
        logits = self._head(hidden[torch.tensor(batch.samples, device=hidden.device)])
        for i, mask in batch.masks.items():  # rows whose logits are not wanted
            exclude(mask, logits[i])
        best = argmax_rows(logits).tolist()
        wanted = [i for i, wants in enumerate(batch.wants_logits) if wants]
        if len(wanted) < len(logits):
            logits = logits[torch.tensor(wanted, dtype=torch.long, device=logits.device)]
        return best, logits.float()
