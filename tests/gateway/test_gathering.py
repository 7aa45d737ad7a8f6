"""How much a reply in one piece may hold, and what is said when it would hold more."""

import pytest

from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_gateway.gathering import Gathering
from sizeup_wire.events import PromptToken, PromptTokens, Text, Thinking, TokenLogprob, TopLogprob

TOP = TopLogprob(token="a", bytes=(97,), logprob=-1.0)
OWN = TokenLogprob(token="a", bytes=(97,), logprob=-1.0, top=(TOP,))
TOLD = PromptToken(token="a", bytes=(97,), logprob=-1.0, top=(TOP, TOP, TOP))


@pytest.mark.parametrize(
    "event",
    [
        PromptTokens(text="aa", tokens=(TOLD, TOLD)),
        Text(text="aaaa", logprobs=(OWN,) * 4),
        Thinking(text="aaaa", logprobs=(OWN,) * 4),
    ],
)
def test_a_reply_that_alone_is_too_large_is_told_what_to_do(event: Text) -> None:
    with Gathering(8).reply() as count:
        count(event)
    with Gathering(7).reply() as count, pytest.raises(InvalidRequestError, match="or stream"):
        count(event)


def test_one_that_is_too_large_beside_others_may_come_again() -> None:
    gathering = Gathering(8)
    with gathering.reply() as first:
        first(Text(text="aaaa", logprobs=(OWN,) * 4))
        with gathering.reply() as second, pytest.raises(BusyError):
            second(Text(text="a", logprobs=(OWN,)))
    with gathering.reply() as third:
        third(Text(text="aaaa", logprobs=(OWN,) * 4))


def test_text_without_log_probabilities_counts_nothing() -> None:
    with Gathering(1).reply() as count:
        for _ in range(100):
            count(Text(text="a"))
