"""Streamed text equals text decoded as a whole."""

import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from qwen_tokenizer import qwen_tokenizer
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_inference.text.tokenizer import TextStream

TOY = Path(__file__).parents[3] / "models" / "toy" / "toy-0.5m"
TEMPLATE = (TOY / "chat_template.jinja").read_text(encoding="utf-8")
TEXTS = (
    "Hello, world.  Two  spaces , and ' s",
    "你好，世界。繁體中文與简体中文",
    "こんにちは 안녕하세요 สวัสดี नमस्ते مرحبا",
    "🙂👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇨🇳 e\u0301 ﷽ 𝕏 𠮷",
    "a<|im_end|>b<think>c</think>\n<tool_call>",
    "\ufffd � \x00 \u200d",
)


@pytest.fixture(scope="module", params=["qwen", "toy"])
def both(request: pytest.FixtureRequest) -> tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer]:
    if request.param == "qwen":
        loaded: PreTrainedTokenizerBase = qwen_tokenizer(TEMPLATE)
    else:
        loaded = AutoTokenizer.from_pretrained(TOY)
    return loaded, HuggingFaceTokenizer(loaded)


def stream(tokenizer: HuggingFaceTokenizer, ids: list[int]) -> list[str]:
    text = TextStream(tokenizer)
    return [*(text.feed(i) for i in ids), text.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_pieces_join_to_the_decoded_text(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer], text: str
) -> None:
    loaded, ours = both
    ids = loaded(text, add_special_tokens=False)["input_ids"]
    pieces = stream(ours, ids)
    assert "".join(pieces) == loaded.decode(ids, skip_special_tokens=True)
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


def test_random_tokens_stream_like_decode(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer],
) -> None:
    loaded, ours = both
    chance = random.Random(11)
    for _ in range(300):
        ids = [chance.randrange(ours.vocab_size) for _ in range(chance.randrange(1, 40))]
        assert "".join(stream(ours, ids)) == loaded.decode(ids, skip_special_tokens=True)


def test_every_split_of_a_character_into_bytes_is_held_back(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer],
) -> None:
    """A model may generate a character byte by byte although a token for it exists."""
    _, ours = both
    byte_ids = {ours.token_bytes(i): i for i in range(ours.vocab_size)}
    spelled = [byte_ids[bytes([byte])] for byte in "你🙂".encode()]
    assert stream(ours, spelled) == ["", "", "你", "", "", "", "🙂", ""]


def test_an_incomplete_character_at_the_end_becomes_u_fffd(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer],
) -> None:
    loaded, ours = both
    byte_ids = {ours.token_bytes(i): i for i in range(ours.vocab_size)}
    ids = [byte_ids[bytes([byte])] for byte in "a🙂".encode()[:-1]]
    assert "".join(stream(ours, ids)) == loaded.decode(ids) == "a\ufffd"


def test_token_bytes_join_to_the_text(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer],
) -> None:
    loaded, ours = both
    text = "naïve 你好 🙂<|im_end|>"
    ids = loaded(text, add_special_tokens=False)["input_ids"]
    assert b"".join(ours.token_bytes(i) for i in ids) == text.encode()


def test_an_unused_id_has_no_text(
    both: tuple[PreTrainedTokenizerBase, HuggingFaceTokenizer],
) -> None:
    """Models pad their vocabulary beyond the tokenizer's."""
    _, ours = both
    assert stream(ours, [ours.vocab_size + 5]) == ["", ""]
