import random

import pytest

from sizeup_inference.text.stop_strings import StopMatcher, StopStrings


def run(text: str, stops: list[str], size: int) -> tuple[str, bool]:
    matcher = StopMatcher(StopStrings(stops))
    out = ""
    for start in range(0, len(text), size):
        out += matcher.feed(text[start : start + size])
        if matcher.match is not None:
            return out, True
    return out + matcher.flush(), False


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one two three", ["two"], ("one ", True)),
        ("one two three", ["four"], ("one two three", False)),
        ("ababac!", ["abac"], ("ab", True)),
        ("aaab", ["aab"], ("a", True)),
        ("one tw", ["two"], ("one tw", False)),
        ("x\n\nHuman: y", ["\n\nHuman:", "\nHuman"], ("x\n", True)),
        ("你好。世界", ["。"], ("你好", True)),
        ("abc", [], ("abc", False)),
        ("xabc", ["abc", "bc"], ("x", True)),
        ("aabaaabaaaa", ["aabaaaa"], ("aaba", True)),
    ],
)
def test_text_is_cut_at_the_first_complete_stop_string(
    text: str, stops: list[str], expected: tuple[str, bool], size: int
) -> None:
    assert run(text, stops, size) == expected


def test_random_texts_agree_with_a_full_search() -> None:
    chance = random.Random(3)
    for _ in range(500):
        text = "".join(chance.choices("ab", k=30))
        stop = "".join(chance.choices("ab", k=chance.randrange(1, 9)))
        before, found, _ = text.partition(stop)
        assert run(text, [stop], chance.randrange(1, 5)) == (before, bool(found))


def test_only_a_possible_start_is_held_back() -> None:
    matcher = StopMatcher(StopStrings(["END"]))
    assert matcher.feed("the E") == "the "
    assert matcher.feed("N") == ""
    assert matcher.feed("T") == "ENT"


def test_the_longest_of_the_strings_that_match_is_reported() -> None:
    matcher = StopMatcher(StopStrings(["bc", "abc", "x"]))
    assert matcher.match is None
    assert matcher.feed("zab") + matcher.feed("cx") == "z"
    assert matcher.match == "abc"
