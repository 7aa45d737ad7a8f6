import pytest

from sizeup.client.compare.state import Answer, Comparison
from sizeup.client.compare.timeline import ASCII_BLOCKS, bar, scale_of

ENDED = Answer("a", begun=0.0, sent=2.0, first_token=3.0, ended=5.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ENDED, "..+##     "),
        (Answer("a"), "          "),
        (Answer("a", begun=4.0), "    ...   "),
        (Answer("a", begun=1.0, ended=1.0), " .        "),
        (Answer("a", begun=0.0, sent=0.0, first_token=0.1, ended=0.2), "#         "),
    ],
)
def test_a_bar_shows_what_happened_when(answer: Answer, expected: str) -> None:
    line = bar([answer], at=6.5, scale=10.0, width=10, blocks=ASCII_BLOCKS)
    assert line.plain == expected


def test_the_samples_of_a_size_share_a_bar() -> None:
    second = Answer("a", begun=0.0, sent=0.0, first_token=7.0)
    line = bar([ENDED, second], at=8.0, scale=10.0, width=10, blocks=ASCII_BLOCKS)
    assert line.plain == "+++##++#  "


@pytest.mark.parametrize(
    ("at", "scale"), [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (99.0, 100.0)]
)
def test_the_scale_covers_every_answer_and_grows_in_steps(at: float, scale: float) -> None:
    assert scale_of(Comparison({("a", 0): Answer("a", begun=0.0)}), at) == pytest.approx(scale)


def test_an_ended_compare_keeps_its_scale() -> None:
    assert scale_of(Comparison({("a", 0): ENDED}), 500.0) == 5.0
