"""Trains one model: draws items, takes one step on them, and checkpoints to resume."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from batches import IGNORED, Batch, pack, rows
from mixture import BASE_WEIGHTS, KINDS, PRACTICE_WEIGHTS
from network import build, grow
from sizes import ITEMS_PER_STEP, PRACTICE, SEED, Size

WARMUP_STEPS = 100
DECAY_FROM = 0.5  # fraction of the budget after which the rate decays linearly to zero
ERROR_FLOOR = 0.12  # fraction of its weight that a solved kind keeps, against forgetting
ERROR_MEMORY = 0.98  # decay per item of the moving average of accuracies


@dataclass(slots=True)
class Progress:
    """State of a run besides weights and optimizers."""

    step: int = 0
    seconds: float = 0.0
    items: int = 0
    tokens: int = 0
    accuracy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))


def rate_factor(step: int, spent: float) -> float:
    """Return the factor of the peak rate: warm-up by steps, constant, decay by `spent` (0 to 1)."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * min(1.0, max(0.0, 1.0 - spent) / (1.0 - DECAY_FROM))


def mixture_weights(shares: Mapping[str, float], accuracy: Mapping[str, float]) -> dict[str, float]:
    """Shift the mixture towards kinds with a low accuracy."""
    return {kind: share * (ERROR_FLOOR + 1.0 - accuracy[kind]) for kind, share in shares.items()}


class Trainer:
    """Trains one model; its complete state can be saved and loaded."""

    def __init__(self, size: Size, tokenizer: PreTrainedTokenizerBase, work: Path) -> None:
        torch.manual_seed(SEED)
        self.size, self.tokenizer = size, tokenizer
        self.model: Qwen2ForCausalLM = build(size)
        # On rows this short SDPA takes two fifths of a step, eager attention a tenth.
        self.model.set_attn_implementation("eager")
        self.optimizers = optimizers(self.model)
        self.shares = PRACTICE_WEIGHTS.get(size.name, BASE_WEIGHTS)
        self.progress = Progress()
        self.checkpoint = work / f"{size.name}.pt"

    def load(self) -> None:
        """Load the checkpoint if there is one."""
        if not self.checkpoint.exists():
            return
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])
        known = self.progress.accuracy
        self.progress.accuracy = {kind: known.get(kind, 0.0) for kind in KINDS}

    def initialize(self, folders: Path) -> None:
        """Initialize a new run from the model of `grown_from`, if set.

        Raises OSError if that model has not been trained.
        """
        if self.size.grown_from is None or self.progress.step > 0:
            return
        is_stage = self.size.grown_from in PRACTICE
        smaller = (self.checkpoint.parent if is_stage else folders) / self.size.grown_from
        grow(Qwen2ForCausalLM.from_pretrained(smaller, dtype="auto"), self.model)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        p = self.progress
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": {name: getattr(p, name) for name in Progress.__slots__},
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)

    def step(self, factor: float) -> float:
        """Train on newly drawn items and return the mean loss per assistant token.

        The items depend only on the seed, the step number and the accuracies so far.
        """
        rng = Random(f"{SEED}:{self.size.name}:{self.progress.step}")
        drawn = rows(
            self.tokenizer,
            rng,
            mixture_weights(self.shares, self.progress.accuracy),
            ITEMS_PER_STEP,
        )
        loss = self._learn(pack(drawn))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = self.size.rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.items += len(drawn)
        self.progress.tokens += sum(len(row.ids) for row in drawn)
        return loss

    def _learn(self, batch: Batch) -> float:
        trained = batch.targets != IGNORED
        targets, owners = batch.targets[trained], batch.owners[trained]
        # A mapping is used unchanged; a tensor would be converted by transformers.
        masks = {"full_attention": batch.mask()}
        with torch.autocast("cpu", torch.bfloat16):
            output = self.model.model(input_ids=batch.inputs, attention_mask=masks, use_cache=False)
            logits = self.model.lm_head(output.last_hidden_state[trained]).float()
        losses = cross_entropy(logits, targets, reduction="none")
        # The total weight of an answer is the square root of its length: long ones do not dominate.
        weights = torch.bincount(owners, minlength=len(batch.kinds)).float().rsqrt()[owners]
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        wrong = torch.zeros(len(batch.kinds), dtype=torch.bool)
        wrong[owners[logits.detach().argmax(-1) != targets]] = True
        self._update_accuracy(batch.kinds, wrong.tolist())
        return float(loss.detach())

    def _update_accuracy(self, kinds: Sequence[str], wrong: Sequence[bool]) -> None:
        """Update the moving average of exact matches per kind, under teacher forcing."""
        for kind, failed in zip(kinds, wrong, strict=True):
            old = self.progress.accuracy[kind]
            self.progress.accuracy[kind] = ERROR_MEMORY * old + (1 - ERROR_MEMORY) * (not failed)


def optimizers(model: Qwen2ForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for matrices, which needs fewer steps on small networks, and AdamW for the rest.

    Muon's updates are scaled to the RMS of AdamW's, so that both use the same rate.
    """
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(inner, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(outer, betas=(0.9, 0.98), weight_decay=0.0)
    return [muon, adam]
