import pytest

from sizeup.client.compare import words
from sizeup.client.compare.fields import Cost, Figures
from sizeup.client.compare.state import Answer, Comparison

STREAMING = Answer(
    "a", begun=0.0, sent=2.0, first_token=2.5, last_token=4.5, tokens=5, first_tokens=1
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("a"), "waiting"),
        (Answer("a", status="waiting"), "waiting for its turn"),
        (Answer("a", status="unloaded"), "starting"),
        (Answer("a", status="downloading", progress=0.423), "downloading 42%"),
        (Answer("a", status="loading", progress=7.0), "loading 100%"),
        (Answer("a", status="busy"), "busy, trying again"),
        (Answer("a", status="new\x1b[2J\nstate"), "new[2J state"),
        (STREAMING, "2.0 tokens/s, TTFT 2.50 s"),
        (Answer("a", first_token=0.25, last_token=0.25), "TTFT 0.25 s"),
        (Answer("a", ended=1.0, reason="error"), "failed"),
        (
            Answer("a", ended=1.0, figures=Figures(ttft_seconds=0.08, tokens_per_second=41.2)),
            "41.2 tokens/s, TTFT 0.08 s",
        ),
    ],
)
def test_state(answer: Answer, expected: str) -> None:
    assert words.state(answer) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "done"), ("length", "token limit"), ("error", "failed"), ("cancelled", "cancelled")],
)
def test_outcome(reason: str, expected: str) -> None:
    assert words.outcome(Answer("a", reason=reason, ended=1.0)) == expected
    assert words.outcome(Answer("a")) == ""


def test_a_sample_has_its_number() -> None:
    assert words.label(Answer("a", 1), Comparison(samples=1)) == "a"
    assert words.label(Answer("a", 1), Comparison(samples=2)) == "a #2"


def test_figures_not_known_yet_are_those_seen_here() -> None:
    assert words.total_seconds(STREAMING) is None
    assert words.total_seconds(Answer("a", begun=1.0, ended=3.0)) == 2.0
    assert words.tokens(STREAMING) == 5
    assert words.tokens(Answer("a", tokens=5, figures=Figures(tokens=6))) == 6


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (None, ""),
        (Cost(0.000123, "USD"), "0.00012 USD"),
        (Cost(3.2, "EUR"), "3.20 EUR"),
        (Cost(0.0, "USD"), "0.00 USD"),
        (Cost(1e-300, "USD\x1b"), "0.000000000000 USD"),
    ],
)
def test_cost(cost: Cost | None, expected: str) -> None:
    assert words.cost(cost) == expected
