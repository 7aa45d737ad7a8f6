"""Teach one model: draw items, learn from them once, and keep what a stopped run needs to go on."""

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
DECAY_FROM = 0.5  # share of the budget after which the rate falls linearly to nothing
ERROR_FLOOR = 0.12  # a solved kind keeps this part of its share, so that it is not forgotten
ERROR_MEMORY = 0.98  # decay per item of the accuracy the mixture follows


@dataclass(slots=True)
class Progress:
    """Hold what a checkpoint keeps beside weights and optimisers."""

    step: int = 0
    seconds: float = 0.0
    items: int = 0
    tokens: int = 0
    accuracy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))


def rate_factor(step: int, spent: float) -> float:
    """Give the rate's factor: warm up by steps, hold, fall with the budget `spent` (0 to 1)."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * min(1.0, max(0.0, 1.0 - spent) / (1.0 - DECAY_FROM))


def mixture_weights(shares: Mapping[str, float], accuracy: Mapping[str, float]) -> dict[str, float]:
    """Shift the mixture towards the kinds still answered wrongly."""
    return {kind: share * (ERROR_FLOOR + 1.0 - accuracy[kind]) for kind, share in shares.items()}


class Trainer:
    """Train one model; all state that matters can be saved and loaded."""

    def __init__(self, size: Size, tokenizer: PreTrainedTokenizerBase, work: Path) -> None:
        torch.manual_seed(SEED)
        self.size, self.tokenizer = size, tokenizer
        self.model: Qwen2ForCausalLM = build(size)
        # On rows this short the fused attention takes two fifths of a step, plain matrices a tenth
        self.model.set_attn_implementation("eager")
        self.optimisers = optimisers(self.model)
        self.shares = PRACTICE_WEIGHTS.get(size.name, BASE_WEIGHTS)
        self.progress = Progress()
        self.checkpoint = work / f"{size.name}.pt"

    def load(self) -> None:
        """Continue from the checkpoint where there is one."""
        if not self.checkpoint.exists():
            return
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.progress = Progress(**state["progress"])
        known = self.progress.accuracy
        self.progress.accuracy = {kind: known.get(kind, 0.0) for kind in KINDS}

    def begin(self, folders: Path) -> None:
        """Start from the finished model this one grows from, if it grows from one.

        Raises OSError where that model has not been trained yet.
        """
        if self.size.grown_from is None or self.progress.step > 0:
            return
        practised = self.size.grown_from in PRACTICE
        smaller = (self.checkpoint.parent if practised else folders) / self.size.grown_from
        grow(Qwen2ForCausalLM.from_pretrained(smaller, dtype="auto"), self.model)

    def save(self) -> None:
        """Write the checkpoint so that a kill at any moment leaves the old or the new one."""
        p = self.progress
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "progress": {name: getattr(p, name) for name in Progress.__slots__},
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)

    def step(self, factor: float) -> float:
        """Draw fresh items, learn from them once, and return the mean loss per assistant token.

        The items of a step depend on the seed and the step number alone.
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
        for optimiser in self.optimisers:
            for parameters in optimiser.param_groups:
                parameters["lr"] = self.size.rate * factor
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.items += len(drawn)
        self.progress.tokens += sum(len(row.ids) for row in drawn)
        return loss

    def _learn(self, batch: Batch) -> float:
        spoken = batch.targets != IGNORED
        targets, owners = batch.targets[spoken], batch.owners[spoken]
        masks = {
            "full_attention": batch.mask()
        }  # a mapping is taken as it is, a tensor might be rebuilt
        with torch.autocast("cpu", torch.bfloat16):
            output = self.model.model(input_ids=batch.inputs, attention_mask=masks, use_cache=False)
            logits = self.model.lm_head(output.last_hidden_state[spoken]).float()
        losses = cross_entropy(logits, targets, reduction="none")
        # An answer weighs the root of its length, so that counting to forty does not drown sums
        weights = torch.bincount(owners, minlength=len(batch.kinds)).float().rsqrt()[owners]
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        wrong = torch.zeros(len(batch.kinds), dtype=torch.bool)
        wrong[owners[logits.detach().argmax(-1) != targets]] = True
        self._note(batch.kinds, wrong.tolist())
        return float(loss.detach())

    def _note(self, kinds: Sequence[str], wrong: Sequence[bool]) -> None:
        """Follow the share of fully right items per kind: greedy exact match, at no extra cost."""
        for kind, failed in zip(kinds, wrong, strict=True):
            old = self.progress.accuracy[kind]
            self.progress.accuracy[kind] = ERROR_MEMORY * old + (1 - ERROR_MEMORY) * (not failed)


def optimisers(model: Qwen2ForCausalLM) -> list[torch.optim.Optimizer]:
    """Give matrices to Muon, which needs fewer steps on so small a network, the rest to AdamW.

    Muon's update is scaled to the size of AdamW's, so that one rate serves both.
    """
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(inner, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(outer, betas=(0.9, 0.98), weight_decay=0.0)
    return [muon, adam]
