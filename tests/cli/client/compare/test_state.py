from collections.abc import Sequence
from typing import Any

import pytest

from cli.client.compare.script import (
    CANCELLED,
    COLD,
    DEAD,
    Line,
    answered,
    failure,
    finish,
    header,
    last,
    status,
    text,
)
from sizeup.client.compare.state import Agreement, Comparison, apply, from_response
from sizeup.errors import InvalidResponseError


def state_after(lines: Sequence[Line]) -> Comparison:
    """Return the state after these lines, which arrive a second apart."""
    comparison = Comparison()
    for at, line in enumerate(lines):
        comparison = apply(comparison, line, float(at))
    return comparison


def test_the_header_lists_every_answer_ascending() -> None:
    comparison = state_after([header("a", "b", samples=2)])
    assert list(comparison.answers) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [len(size) for size in comparison.sizes()] == [2, 2]
    assert (comparison.seed, comparison.complete) == (123, False)


def test_text_grows_with_its_times() -> None:
    lines = [header("a"), status("a", "queued"), text("a", "4"), text("a", "2"), text("a", "!")]
    answer = state_after(lines).answers["a", 0]
    assert (answer.text, answer.tokens, answer.first_tokens) == ("42!", 3, 1)
    assert (answer.sent, answer.first_token, answer.last_token) == (1.0, 2.0, 4.0)
    assert not answer.answered


def test_the_last_line_has_the_whole_text_and_the_figures() -> None:
    answer = state_after([header("a"), text("a", "4"), finish("a", "42")]).answers["a", 0]
    assert (answer.text, answer.ended, answer.reason) == ("42", 2.0, "stop")
    assert answer.figures is not None
    assert answer.figures.tokens_per_second == 41.2
    assert answer.answered


def test_cold_sizes_have_progress_and_are_sent_later() -> None:
    assert state_after(COLD[:8]).answers["toy:5m", 0].progress == 0.75
    comparison = state_after(COLD)
    assert comparison.complete
    assert comparison.agreement == Agreement("toy:5m", "toy:5m")
    answer = comparison.answers["toy:2m", 0]
    assert (answer.begun, answer.sent) == (0.0, 8.0)


def test_a_size_that_waits_for_its_turn_has_not_begun() -> None:
    lines = [status("a", "waiting"), status("a", "loading")]
    turns = state_after([header("a", one_at_a_time=True), *lines]).answers["a", 0]
    assert turns.begun == 2.0
    assert state_after([header("a"), *lines]).answers["a", 0].begun == 0.0


def test_failures_keep_what_came_before() -> None:
    answers = state_after(DEAD).answers
    assert answers["toy:2m", 0].text == "Let me"
    assert answers["toy:2m", 0].fault == "the replica exited"
    assert (answers["toy:5m", 0].begun, answers["toy:5m", 0].ended) == (0.0, 4.0)
    assert [answer.answered for answer in answers.values()] == [True, False, False]


def test_a_cancelled_answer_is_none() -> None:
    answers = state_after(CANCELLED).answers.values()
    assert [answer.answered for answer in answers] == [False, True]


@pytest.mark.parametrize(
    "line",
    [
        {"model": "a", "sample": 0, "done": False, "weather": "fine"},
        {"model": "new", "sample": 0, "done": True},
        {"model": ["a"], "sample": "0", "done": False},
        {"model": "a", "sample": 7, "message": {"content": "x"}},
        {"model": "a", "message": "x", "tokens": "many", "status": 3},
    ],
)
def test_unknown_lines_and_fields_change_nothing(line: Line) -> None:
    before = state_after([header("a")])
    assert apply(before, line, 1.0) == before


def test_unknown_fields_beside_known_ones_are_ignored() -> None:
    line = {**text("a", "4"), "logprobs": [1], "message": {"content": "4", "mood": {}}}
    assert state_after([header("a"), line]).answers["a", 0].text == "4"


def test_lines_after_the_end_of_an_answer_are_ignored() -> None:
    lines = [header("a"), finish("a", "42"), text("a", "more"), failure("a", "late")]
    assert state_after(lines).answers["a", 0].text == "42"


@pytest.mark.parametrize("kept", ["stop", "anything new"])
def test_an_unknown_reason_is_an_answer(kept: str) -> None:
    assert state_after([header("a"), finish("a", "", reason=kept)]).answers["a", 0].answered


@pytest.mark.parametrize("broken", [None, "the replica exited", {"code": "dead"}, {"message": 3}])
def test_a_failure_in_any_form_has_a_fault(broken: Any) -> None:
    line = {**failure("a", ""), "failure": broken}
    assert state_after([header("a"), line]).answers["a", 0].fault


def test_the_first_line_must_be_the_header() -> None:
    with pytest.raises(InvalidResponseError):
        apply(Comparison(), text("a", "4"), 0.0)


@pytest.mark.parametrize("samples", [17, 10**9])
def test_a_header_beyond_the_limits_is_an_error(samples: int) -> None:
    with pytest.raises(InvalidResponseError):
        apply(Comparison(), header("a", "b", "c", "d", samples=samples), 0.0)


@pytest.mark.parametrize("compare", [{}, {"models": 3}, {"models": ["a"]}])
def test_a_header_without_models_is_an_error(compare: Line) -> None:
    with pytest.raises(InvalidResponseError):
        apply(Comparison(), {"compare": compare, "done": False}, 0.0)


def test_the_text_of_an_answer_is_bounded() -> None:
    comparison = state_after([header("a"), text("a", "x" * (8 << 20))])
    with pytest.raises(InvalidResponseError):
        apply(comparison, text("a", "x"), 2.0)


def test_a_compare_without_streaming() -> None:
    lines = answered()
    header_line, *_, last_line = lines
    response = {
        "compare": {**header_line["compare"], **last_line["compare"]},
        "responses": [finish("toy:0.5m", "42"), failure("toy:2m", "dead"), "not an object"],
    }
    comparison = from_response(response)
    assert comparison.complete
    answered_sizes = [answer.answered for answer in comparison.answers.values()]
    assert answered_sizes == [True, False, False]


def test_without_agreement() -> None:
    assert state_after([header("a"), last()]).agreement is None
