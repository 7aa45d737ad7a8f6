"""Which models gave the same answer as the largest."""

import pytest

from sizeup_gateway.comparison.agreement import Agreement, agree, normalize


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        (" 432 ", "432"),
        ("It  is\n4.", "it is 4"),
        ("四。", "四"),
        ("STRASSE", "straße"),
    ],
)
def test_case_spacing_and_final_punctuation_do_not_count(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(("one", "other"), [("4", "40"), ("-4", "4"), ("a b", "ab"), ("?", "")])
def test_other_differences_count(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


def test_the_largest_that_answered_is_the_measure() -> None:
    answers = {"s": ["5"], "m": ["4."], "l": ["4"], "xl": []}
    assert agree(answers) == Agreement("l", ["m", "l"])


def test_the_smallest_may_be_the_only_one() -> None:
    found = agree({"s": ["4"], "m": []})
    assert found == Agreement("s", ["s"])
    assert found.smallest == "s"


def test_a_smaller_one_may_agree_where_one_between_does_not() -> None:
    found = agree({"s": ["4"], "m": ["5"], "l": ["4"]})
    assert found is not None
    assert found.smallest == "s"
    assert found.same == ["s", "l"]


def test_of_several_samples_the_most_frequent_counts() -> None:
    found = agree({"s": ["5", "4", "4."], "l": ["4", "5", "4"]})
    assert found is not None
    assert found.same == ["s", "l"]


def test_no_answer_agrees_with_none() -> None:
    assert agree({"s": [], "l": []}) is None
