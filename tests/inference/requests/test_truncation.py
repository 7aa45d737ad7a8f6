import pytest

from sizeup_inference.errors import ContextLengthError, InvalidRequestError, PromptError
from sizeup_inference.fake.model import ByteTokenizer
from sizeup_inference.requests.resolve import ModelPrompt
from sizeup_inference.requests.truncation import encode_to_embed, encode_to_fit
from sizeup_inference.text.infill import Infill
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.generate import ChatMessage, ChatPrompt, InfillPrompt, TextPrompt, TokenPrompt

BYTES = ByteTokenizer()
SYSTEM = ChatMessage(role="system", content="be kind")
END = 256


def turns(*contents: str) -> tuple[ChatMessage, ...]:
    roles = ("user", "assistant")
    return tuple(ChatMessage(role=roles[i % 2], content=text) for i, text in enumerate(contents))


def length(prompt: ChatPrompt) -> int:
    return len(BYTES.encode_chat(prompt).token_ids)


def test_a_prompt_that_fits_is_unchanged() -> None:
    assert encode_to_fit(BYTES, TextPrompt(text="abc"), 3, truncate=False).token_ids == tuple(
        b"abc"
    )


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        (TextPrompt(text="abcd"), 4),
        (TokenPrompt(token_ids=(1, 2, 3, 4, 5)), 5),
        (ChatPrompt(messages=turns("hi")), 21),
    ],
)
def test_a_prompt_too_long_is_rejected_with_the_numbers(prompt: ModelPrompt, tokens: int) -> None:
    """Clients look for the first words, and for the numbers behind them."""
    with pytest.raises(ContextLengthError) as error:
        encode_to_fit(BYTES, prompt, 3, truncate=False)
    assert "maximum context length is 4 tokens" in error.value.message
    assert f"resulted in {tokens} tokens" in error.value.message
    assert error.value.param == "prompt"


@pytest.mark.parametrize(
    ("limit", "num_keep", "kept"),
    [
        (9, None, b"abcdfghij"),
        (5, None, b"abcdj"),
        (3, None, b"abj"),
        (5, 0, b"fghij"),
        (5, 1, b"aghij"),
        (5, 100, b"abcdj"),
    ],
)
def test_text_and_tokens_keep_their_first_tokens_and_their_end(
    limit: int, num_keep: int | None, kept: bytes
) -> None:
    text = b"abcdefghij"
    for prompt in (TextPrompt(text=text.decode()), TokenPrompt(token_ids=tuple(text))):
        fitting = encode_to_fit(BYTES, prompt, limit, truncate=True, num_keep=num_keep)
        assert bytes(fitting.token_ids) == kept


class InfillTokenizer(ByteTokenizer):
    infill = Infill(300, 301, 302, frozenset({303}), str.encode)


def test_an_infill_prompt_keeps_what_is_next_to_the_gap() -> None:
    prompt = InfillPrompt(prefix="abcdef", suffix="uvwxyz")
    for limit, expected in (
        (15, (300, *b"abcdef", 301, *b"uvwxyz", 302)),
        (9, (300, *b"def", 301, *b"uvw", 302)),
        (3, (300, 301, 302)),
    ):
        fitting = encode_to_fit(InfillTokenizer(), prompt, limit, truncate=True)
        assert fitting.token_ids == expected
        assert fitting.stop_token_ids == {303}
    short = InfillPrompt(prefix="ab", suffix="uvwxyz")
    fitting = encode_to_fit(InfillTokenizer(), short, 9, truncate=True)
    assert fitting.token_ids == (300, *b"ab", 301, *b"uvwx", 302)


def test_an_infill_prompt_too_long_is_rejected() -> None:
    prompt = InfillPrompt(prefix="abc", suffix="uvw")
    with pytest.raises(ContextLengthError):
        encode_to_fit(InfillTokenizer(), prompt, 8, truncate=False)


def test_an_empty_prompt_is_rejected() -> None:
    with pytest.raises(InvalidRequestError, match="empty"):
        encode_to_fit(BYTES, TextPrompt(text=""), 3, truncate=True)


class Appending(ByteTokenizer):
    """Appends a token, as the post-processor of an embedding model's tokenizer does."""

    def encode_text(self, text: str) -> EncodedPrompt:
        return EncodedPrompt((*text.encode(), END), appended=1)


@pytest.mark.parametrize(
    ("limit", "expected"), [(4, (97, 98, 99, END)), (3, (97, 98, END)), (2, (97, END))]
)
def test_a_text_to_embed_keeps_its_beginning_and_the_appended_token(
    limit: int, expected: tuple[int, ...]
) -> None:
    prompt = TextPrompt(text="abc")
    assert encode_to_embed(Appending(), prompt, limit, truncate=True).token_ids == expected


def test_tokens_to_embed_keep_their_beginning() -> None:
    tokens = TokenPrompt(token_ids=(1, 2, 3))
    assert encode_to_embed(Appending(), tokens, 2, truncate=True).token_ids == (1, 2)


@pytest.mark.parametrize(("limit", "truncate"), [(3, False), (1, True)])
def test_a_text_to_embed_that_cannot_fit_is_rejected_with_the_numbers(
    limit: int, truncate: bool
) -> None:
    message = f"maximum context length is {limit} tokens.*has 4"
    with pytest.raises(ContextLengthError, match=message):
        encode_to_embed(Appending(), TextPrompt(text="abc"), limit, truncate=truncate)


def test_the_fewest_oldest_turns_are_dropped() -> None:
    history = turns(*(f"turn {i} " + "x" * 20 for i in range(9)))
    whole = ChatPrompt(messages=(SYSTEM, *history))
    for dropped in range(1, 9):
        shorter = ChatPrompt(messages=(SYSTEM, *history[dropped:]))
        fitting = encode_to_fit(BYTES, whole, length(shorter), truncate=True)
        assert fitting == BYTES.encode_chat(shorter)


def test_a_prompt_that_is_cut_leaves_room_for_output() -> None:
    history = turns("a" * 30, "b" * 30, "c" * 30)
    prompt, last = ChatPrompt(messages=history), ChatPrompt(messages=history[2:])

    def tokens(prompt: ModelPrompt, limit: int) -> tuple[int, ...]:
        return encode_to_fit(BYTES, prompt, limit, truncate=True, num_keep=0, room=20).token_ids

    whole, kept = BYTES.encode_chat(prompt).token_ids, BYTES.encode_chat(last).token_ids
    assert tokens(prompt, len(whole)) == whole
    assert (
        tokens(prompt, len(whole) - 1)
        == BYTES.encode_chat(ChatPrompt(messages=history[1:])).token_ids
    )
    assert tokens(prompt, len(kept)) == kept  # the last message is kept where it fits
    assert tokens(prompt, len(kept) - 1) == kept[21:]
    assert tokens(TextPrompt(text="x" * 50), 49) == tuple(b"x" * 29)


def test_system_messages_and_the_last_message_are_kept() -> None:
    late = ChatMessage(role="system", content="and brief")
    prompt = ChatPrompt(messages=(SYSTEM, *turns("a" * 50, "b" * 50), late, *turns("last")))
    shortest = ChatPrompt(messages=(SYSTEM, late, *turns("last")))
    assert encode_to_fit(BYTES, prompt, length(shortest), truncate=True) == BYTES.encode_chat(
        shortest
    )


def test_prefix_tokens_are_dropped_first() -> None:
    prompt = ChatPrompt(messages=turns("hi"), prefix_token_ids=(1,) * 50)
    fitting = encode_to_fit(BYTES, prompt, 40, truncate=True)
    assert fitting.token_ids == BYTES.encode_chat(ChatPrompt(messages=turns("hi"))).token_ids


def test_a_last_message_too_long_keeps_its_start_and_end() -> None:
    prompt = ChatPrompt(messages=turns("x" * 100))
    whole = BYTES.encode_chat(prompt).token_ids
    fitting = encode_to_fit(BYTES, prompt, 30, truncate=True).token_ids
    assert fitting == whole[:4] + whole[-26:]
    assert encode_to_fit(BYTES, prompt, 1, truncate=True).token_ids == whole[-1:]


def test_turns_are_dropped_until_the_template_accepts() -> None:
    class Strict(ByteTokenizer):
        def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
            if prompt.messages[0].role != "user":
                raise PromptError("the first message must be the user's")
            return super().encode_chat(prompt)

    history = turns("a" * 30, "b" * 30, "c")
    prompt = ChatPrompt(messages=history)
    fitting = encode_to_fit(Strict(), prompt, length(prompt) - 1, truncate=True)
    assert fitting == BYTES.encode_chat(ChatPrompt(messages=history[2:]))
