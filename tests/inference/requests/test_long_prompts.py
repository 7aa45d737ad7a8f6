"""Prompts of many more characters than usual: the tokens are those of the whole, cut or not."""

import random
from collections.abc import Callable

import pytest

from qwen_tokenizer import qwen_tokenizer
from sizeup_inference.errors import ContextLengthError
from sizeup_inference.requests.truncation import check_fits, encode_to_embed, encode_to_fit
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.generate import ChatMessage, ChatPrompt, InfillPrompt, TextPrompt

TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if tools %}{{ tools | tojson }}{% endif %}
{{- '<|im_start|>assistant\\n' }}"""

LENGTH = 200_000
"""Characters; three times those from which a prompt is measured in pieces."""


def repeated(unit: str) -> str:
    return unit * (LENGTH // len(unit))


TEXTS = {
    "english": repeated("The quick brown fox jumps over the lazy dog. "),
    "chinese": repeated("请用一句话介绍北京。"),
    "emoji": repeated("👩‍👩‍👧‍👦"),
    "combining marks": repeated("e\u0301a\u0308\u0304"),
    "composed by normalization": repeated("U\u0308\u0304"),
    "one letter": repeated("a"),
    "one mark": repeated("\u0301"),
    "spaces": " " * LENGTH,
    "line breaks": repeated("\n"),
    "names of added tokens": repeated("<|im_end|><think>"),
    "numbers": repeated("1234567890"),
    "longest tokens": repeated(" " * 128 + "x"),
}


@pytest.fixture(scope="module")
def tokenizer() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(qwen_tokenizer(TEMPLATE))


def user(content: str) -> ChatMessage:
    return ChatMessage(role="user", content=content)


def mixed(chance: random.Random) -> str:
    pieces = [text[:2000] for text in TEXTS.values()]
    return "".join(chance.choice(pieces)[: chance.randrange(2000)] for _ in range(200))


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_the_limit_is_served_and_one_of_more_refused(
    tokenizer: HuggingFaceTokenizer, name: str
) -> None:
    for prompt in (TextPrompt(text=TEXTS[name]), ChatPrompt(messages=(user(TEXTS[name]),))):
        whole = encoded(tokenizer, prompt)
        limit = len(whole.token_ids)
        assert encode_to_fit(tokenizer, prompt, limit, truncate=False).token_ids == whole.token_ids
        check_fits(tokenizer, prompt, limit)
        for less in (limit - 1, limit // 4, 1):
            with pytest.raises(ContextLengthError):
                encode_to_fit(tokenizer, prompt, less, truncate=False)


def encoded(tokenizer: HuggingFaceTokenizer, prompt: TextPrompt | ChatPrompt) -> EncodedPrompt:
    if isinstance(prompt, ChatPrompt):
        return tokenizer.encode_chat(prompt)
    return tokenizer.encode_text(prompt.text)


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "spaces"])
def test_a_text_that_is_cut_has_the_tokens_of_the_whole(
    tokenizer: HuggingFaceTokenizer, name: str
) -> None:
    """But in a single run of spaces, whose tokens depend on its length."""
    for prompt in (TextPrompt(text=TEXTS[name]), ChatPrompt(messages=(user(TEXTS[name]),))):
        ids = encoded(tokenizer, prompt).token_ids
        for limit in (100, 1000, len(ids) - 1):
            cut = encode_to_fit(tokenizer, prompt, limit, truncate=True, num_keep=4)
            assert cut.token_ids == ids[:4] + ids[4 - limit :]


def test_texts_of_many_kinds_are_cut_like_the_whole(tokenizer: HuggingFaceTokenizer) -> None:
    chance = random.Random(3)
    for _ in range(5):
        text = mixed(chance)
        ids = tokenizer.encode_text(text).token_ids
        limit = chance.randrange(10, 5000)
        cut = encode_to_fit(tokenizer, TextPrompt(text=text), limit, truncate=True, num_keep=5)
        assert cut.token_ids == ids[:5] + ids[5 - limit :]


def test_a_system_prompt_and_a_last_message_are_cut_like_the_whole(
    tokenizer: HuggingFaceTokenizer,
) -> None:
    system = ChatMessage(role="system", content=TEXTS["english"])
    prompt = ChatPrompt(messages=(system, user(TEXTS["chinese"])))
    ids = tokenizer.encode_chat(prompt).token_ids
    cut = encode_to_fit(tokenizer, prompt, 500, truncate=True)
    assert cut.token_ids == ids[:4] + ids[-496:]


def test_as_many_turns_stay_as_without_the_cut(tokenizer: HuggingFaceTokenizer) -> None:
    system = ChatMessage(role="system", content="be kind")
    turns = [user(f"{i} " + TEXTS["english"][:500]) for i in range(400)]
    shorter = ChatPrompt(messages=(system, *turns[-5:]))
    kept = tokenizer.encode_chat(shorter)
    whole = ChatPrompt(messages=(system, *turns))
    for limit in (len(kept.token_ids), len(kept.token_ids) + 50):
        assert encode_to_fit(tokenizer, whole, limit, truncate=True) == kept


def test_an_old_message_that_is_long_is_dropped(tokenizer: HuggingFaceTokenizer) -> None:
    prompt = ChatPrompt(messages=(user(TEXTS["english"]), user("and now?")))
    kept = ChatPrompt(messages=(user("and now?"),))
    assert encode_to_fit(tokenizer, prompt, 100, truncate=True) == tokenizer.encode_chat(kept)


def test_a_long_input_to_embed_keeps_its_beginning(tokenizer: HuggingFaceTokenizer) -> None:
    for text in TEXTS.values():
        ids = tokenizer.encode_text(text).token_ids
        prompt = TextPrompt(text=text)
        assert encode_to_embed(tokenizer, prompt, 300, truncate=True).token_ids == ids[:300]
        with pytest.raises(ContextLengthError, match="maximum context length is 300 tokens"):
            encode_to_embed(tokenizer, prompt, 300, truncate=False)


def test_tools_that_cannot_fit_are_refused(tokenizer: HuggingFaceTokenizer) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": TEXTS["english"]}}
    prompt = ChatPrompt(messages=(user("hi"),), tools=(tool,))
    for truncate in (True, False):
        with pytest.raises(ContextLengthError):
            encode_to_fit(tokenizer, prompt, 1000, truncate=truncate)


class Counting(HuggingFaceTokenizer):
    """Counts the characters that are encoded."""

    characters = 0

    def encode_text(self, text: str) -> EncodedPrompt:
        self.characters += len(text)
        return super().encode_text(text)

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        self.characters += sum(len(message.content) for message in prompt.messages)
        return super().encode_chat(prompt)


HUGE = TEXTS["english"] * 50


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: encode_to_fit(t, TextPrompt(text=HUGE), 1000, truncate=True),
        lambda t: encode_to_fit(t, ChatPrompt(messages=(user(HUGE),)), 1000, truncate=True),
        lambda t: encode_to_fit(
            t, ChatPrompt(messages=(user(HUGE[:2000]),) * 4096), 1000, truncate=True
        ),
        lambda t: encode_to_embed(t, TextPrompt(text=HUGE), 1000, truncate=True),
    ],
)
def test_the_work_is_bounded_by_the_context(
    encode: Callable[[HuggingFaceTokenizer], EncodedPrompt],
) -> None:
    """A thousand tokens have some 5,000 characters; 10 million are given."""
    tokenizer = Counting(qwen_tokenizer(TEMPLATE))
    assert len(encode(tokenizer).token_ids) <= 1000
    assert tokenizer.characters < 250_000


def test_infill_texts_are_cut_far_from_the_gap(tokenizer: HuggingFaceTokenizer) -> None:
    prompt = InfillPrompt(prefix=TEXTS["english"], suffix=TEXTS["chinese"])
    with pytest.raises(ContextLengthError):
        encode_to_fit(tokenizer, prompt, 1000, truncate=False)
