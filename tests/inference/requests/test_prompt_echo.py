"""Echoing a prompt in pieces."""

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.fake.model import IM_END, ByteTokenizer
from sizeup_inference.requests.logprobs import TOKENS_PER_EVENT, PromptEcho
from sizeup_wire.events import PromptTokens

READERS_BOUND_BYTES = 8 * 2**20
"""Line limit of the gateway's client."""


class Verbose(ByteTokenizer):
    """Every token has 128 characters, like Qwen's longest."""

    def token_bytes(self, token_id: int) -> bytes:
        return b" " * 128


def text_of(pieces: list[PromptTokens]) -> str:
    return "".join(piece.text for piece in pieces)


def test_without_logprobs_the_whole_text_comes_first() -> None:
    text = "Hi 你🙂! " * 100
    pieces = list(PromptEcho(ByteTokenizer(), [*text.encode()], logprobs=False).begin())
    assert text_of(pieces) == text
    assert len(pieces) > 1
    assert all(piece.tokens == () for piece in pieces)


def test_with_logprobs_the_first_token_has_none() -> None:
    echo = PromptEcho(ByteTokenizer(), [*b"abc"], logprobs=True)
    (first,) = echo.begin()
    assert [(t.token, t.logprob, t.top) for t in first.tokens] == [("a", None, ())]
    (rest,) = echo.feed([Logprobs(-1.0, ((98, -1.0), (IM_END, -3.0))), Logprobs(-2.0)])
    assert [(t.token, t.logprob) for t in rest.tokens] == [("b", -1.0), ("c", -2.0)]
    assert [(t.token, t.logprob) for t in rest.tokens[0].top] == [("b", -1.0), ("<|im_end|>", -3.0)]
    assert first.text + rest.text == "abc"


def test_a_special_token_is_its_name() -> None:
    (piece,) = PromptEcho(ByteTokenizer(), [*b"a", IM_END], logprobs=False).begin()
    assert piece.text == "a<|im_end|>"


def test_a_character_comes_with_its_last_token() -> None:
    echo = PromptEcho(ByteTokenizer(), [*"é".encode(), *"é".encode()[:1]], logprobs=True)
    pieces = [*echo.begin(), *echo.feed([Logprobs(-1.0)]), *echo.feed([Logprobs(-1.0)])]
    assert [piece.text for piece in pieces] == ["", "é", "�"]
    assert [token.bytes for piece in pieces for token in piece.tokens] == [
        (0xC3,), (0xA9,), (0xC3,)
    ]  # fmt: skip


def test_lines_are_below_the_gateways_limit() -> None:
    count = 3 * TOKENS_PER_EVENT
    echo = PromptEcho(Verbose(), [0] * (count + 1), logprobs=True)
    logprob = -1.2345678901234567
    pieces = [*echo.begin(), *echo.feed([Logprobs(logprob, ((0, logprob),) * 20)] * count)]
    assert sum(len(piece.tokens) for piece in pieces) == count + 1
    assert max(len(piece.model_dump_json()) for piece in pieces) < READERS_BOUND_BYTES / 2
