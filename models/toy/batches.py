"""Turn items into packed batches of token ids with the loss on the assistant's turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mixture import training_item
from tokenizer import render

IGNORED = -100
ROW_LENGTH = 160  # tokens a row of a batch holds at least; nearly every conversation fits
BLOCKED = -1e9  # added to an attention score, it leaves nothing of it after the softmax


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold conversations packed into rows that do not see each other.

    `inputs`, `targets` and `owners` are [rows, length]: `targets` is the next token where it is
    the assistant's, else IGNORED; `owners` is the index into `kinds` of the conversation a token
    belongs to, or -1 on padding.
    """

    kinds: tuple[str, ...]
    inputs: Tensor
    targets: Tensor
    owners: Tensor

    def mask(self) -> Tensor:
        """Give the additive mask [rows, 1, length, length]: causal, and within a conversation.

        Rotary positions are relative, so where in a row a conversation stands is no matter.
        """
        same = self.owners[:, :, None] == self.owners[:, None, :]
        return torch.where(same.tril(), 0.0, BLOCKED)[:, None]


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one tokenised conversation and which of its tokens are the assistant's."""

    kind: str
    ids: list[int]
    spoken: list[bool]


def spoken_by_assistant(ids: list[int], header: list[int], end: int) -> list[bool]:
    """Mark the tokens after each assistant header up to and including the end of that turn."""
    marks, speaking = [], False
    for position, token in enumerate(ids):
        marks.append(speaking)
        if speaking:
            speaking = token != end
        elif token == header[-1]:
            speaking = ids[max(0, position - len(header) + 1) : position + 1] == header
    return marks


def rows(
    tokenizer: PreTrainedTokenizerBase, rng: Random, weights: Mapping[str, float], count: int
) -> list[Row]:
    """Draw and tokenise `count` training conversations."""
    items = [training_item(rng, weights) for _ in range(count)]
    encoded = tokenizer([render(tokenizer, item, answered=True) for item in items])["input_ids"]
    header = tokenizer("<|im_start|>assistant\n")["input_ids"]
    end = tokenizer.eos_token_id
    return [
        Row(item.kind, ids, spoken_by_assistant(ids, header, end))
        for item, ids in zip(items, encoded, strict=True)
    ]


def pack(drawn: list[Row]) -> Batch:
    """Pack rows into one batch, longest first, each into the first row with room."""
    length = max(ROW_LENGTH, max(len(row.ids) for row in drawn))
    bins: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(drawn)), key=lambda i: -len(drawn[i].ids)):
        need = len(drawn[i].ids)
        place = next((b for b, left in enumerate(room) if left >= need), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(length)
        bins[place].append(i)
        room[place] -= need
    return _lay_out(drawn, bins, length)


def _lay_out(drawn: list[Row], bins: list[list[int]], length: int) -> Batch:
    """Write the rows of each bin one after the other; the last token of each predicts nothing."""
    shape = (len(bins), length)
    inputs, targets = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
    owners = torch.full(shape, -1)
    for b, members in enumerate(bins):
        at = 0
        for i in members:
            row = drawn[i]
            end = at + len(row.ids)
            inputs[b, at:end] = torch.tensor(row.ids)
            spoken = torch.tensor(row.spoken[1:])
            targets[b, at : end - 1] = torch.where(spoken, torch.tensor(row.ids[1:]), IGNORED)
            owners[b, at:end] = i
            at = end
    return Batch(tuple(row.kind for row in drawn), inputs, targets, owners)
