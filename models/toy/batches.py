"""Packs conversations into batches of token ids, with the loss on the assistant's turns."""

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
ROW_LENGTH = 160  # minimum length of a packed row; nearly every conversation fits
BLOCKED = -1e9  # added to an attention score; the softmax of it is zero


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations packed into rows, without attention between them.

    `inputs`, `targets` and `owners` are [rows, length]: `targets` is the next token if it is the
    assistant's, else IGNORED; `owners` is the index into `kinds` of the token's conversation, or -1
    for padding.
    """

    kinds: tuple[str, ...]
    inputs: Tensor
    targets: Tensor
    owners: Tensor

    def mask(self) -> Tensor:
        """Return the additive mask [rows, 1, length, length]: causal within each conversation.

        Rotary embeddings are relative, so the position of a conversation in its row is irrelevant.
        """
        same = self.owners[:, :, None] == self.owners[:, None, :]
        return torch.where(same.tril(), 0.0, BLOCKED)[:, None]


@dataclass(frozen=True, slots=True)
class Row:
    """A tokenized conversation; `by_assistant` marks the assistant's tokens."""

    kind: str
    ids: list[int]
    by_assistant: list[bool]


def assistant_tokens(ids: list[int], header: list[int], end: int) -> list[bool]:
    """Mark the tokens after each assistant header up to and including the end of that turn."""
    marks, in_turn = [], False
    for position, token in enumerate(ids):
        marks.append(in_turn)
        if in_turn:
            in_turn = token != end
        elif token == header[-1]:
            in_turn = ids[max(0, position - len(header) + 1) : position + 1] == header
    return marks


def rows(
    tokenizer: PreTrainedTokenizerBase, rng: Random, weights: Mapping[str, float], count: int
) -> list[Row]:
    """Draw and tokenize `count` training conversations."""
    items = [training_item(rng, weights) for _ in range(count)]
    encoded = tokenizer([render(tokenizer, item, with_answer=True) for item in items])["input_ids"]
    header = tokenizer("<|im_start|>assistant\n")["input_ids"]
    end = tokenizer.eos_token_id
    return [
        Row(item.kind, ids, assistant_tokens(ids, header, end))
        for item, ids in zip(items, encoded, strict=True)
    ]


def pack(drawn: list[Row]) -> Batch:
    """Pack rows into one batch: first-fit decreasing."""
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
    """Concatenate the rows of each bin; the last token of each row has no target."""
    shape = (len(bins), length)
    inputs, targets = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
    owners = torch.full(shape, -1)
    for b, members in enumerate(bins):
        at = 0
        for i in members:
            row = drawn[i]
            end = at + len(row.ids)
            inputs[b, at:end] = torch.tensor(row.ids)
            trained = torch.tensor(row.by_assistant[1:])
            targets[b, at : end - 1] = torch.where(trained, torch.tensor(row.ids[1:]), IGNORED)
            owners[b, at:end] = i
            at = end
    return Batch(tuple(row.kind for row in drawn), inputs, targets, owners)
