"""Packing keeps every token, and conversations do not attend to each other."""

from __future__ import annotations

from random import Random

import torch
from transformers import PreTrainedTokenizerBase

from batches import IGNORED, ROW_LENGTH, Row, assistant_tokens, pack, rows
from mixture import BASE_WEIGHTS
from network import build
from sizes import SIZES


def drawn(tokenizer: PreTrainedTokenizerBase, count: int) -> list[Row]:
    return rows(tokenizer, Random(5), BASE_WEIGHTS, count)


def test_only_assistant_tokens_are_targets(tokenizer: PreTrainedTokenizerBase) -> None:
    text = (
        "<|im_start|>user\nassistant\n<|im_end|>\n<|im_start|>assistant\nOK<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
    )
    ids = tokenizer(text)["input_ids"]
    header = tokenizer("<|im_start|>assistant\n")["input_ids"]
    marks = assistant_tokens(ids, header, tokenizer.eos_token_id)
    by_assistant = [token for token, mark in zip(ids, marks, strict=True) if mark]
    assert tokenizer.decode(by_assistant) == "OK<|im_end|>Hello!<|im_end|>"


def test_every_row_is_packed_once_and_completely(tokenizer: PreTrainedTokenizerBase) -> None:
    packed = drawn(tokenizer, 40)
    batch = pack(packed)
    assert batch.inputs.shape[1] >= ROW_LENGTH
    for i, row in enumerate(packed):
        assert batch.inputs[batch.owners == i].tolist() == row.ids
        targets = batch.targets[batch.owners == i].tolist()
        pairs = zip(row.ids[1:], row.by_assistant[1:], strict=True)
        assert targets == [t if trained else IGNORED for t, trained in pairs] + [IGNORED]
    assert (batch.targets[batch.owners == -1] == IGNORED).all()


def test_packed_conversation_is_computed_as_if_alone(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    torch.manual_seed(1)
    model = build(SIZES["toy-0.5m"])
    packed = drawn(tokenizer, 6)
    batch = pack(packed)
    with torch.inference_mode():
        together = model.model(
            input_ids=batch.inputs, attention_mask={"full_attention": batch.mask()}
        ).last_hidden_state
        for i, row in enumerate(packed):
            alone = model.model(input_ids=torch.tensor([row.ids])).last_hidden_state[0]
            torch.testing.assert_close(together[batch.owners == i], alone, atol=1e-4, rtol=1e-4)
