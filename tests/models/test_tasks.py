"""Generated answers are correct, and the split separates training from grading."""

from __future__ import annotations

import json
import re
from random import Random

import pytest

from mixture import BASE_WEIGHTS, GRADED, KINDS, item, training_item
from tasks import Item, Part, split

DRAWS = 200


def drawn(kind: str, count: int = DRAWS, part: Part | None = None) -> list[Item]:
    rng = Random(f"test:{kind}")
    return [item(kind, rng, part) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_generates_the_same_items(kind: str) -> None:
    items = drawn(kind, 20)
    assert items == drawn(kind, 20)
    assert all(it.kind == kind and it.prompt and it.answer for it in items)
    assert all(it.messages[-1]["role"] in ("user", "tool") for it in items)


@pytest.mark.parametrize(
    ("kind", "digits"), [("add-2", 2), ("add-3", 3), ("add-4", 4), ("add-zh", 3)]
)
def test_sums_are_correct_and_within_their_digits(kind: str, digits: int) -> None:
    for it in drawn(kind):
        a, b = (int(number) for number in re.findall(r"\d+", it.prompt))
        assert it.answer == str(a + b)
        assert max(a, b) < 10**digits


def in_list(prompt: str) -> tuple[list[str], str]:
    listed, question = prompt.removeprefix("In the list ").split(". ")
    return listed.split(), question.removeprefix("How many times is ").rstrip("?")


@pytest.mark.parametrize("kind", ["count-words", "count-letters"])
def test_counts_are_correct(kind: str) -> None:
    for it in drawn(kind):
        entries, wanted = in_list(it.prompt)
        assert it.answer == str(sum(entry == wanted for entry in entries))
        for question in it.more:
            wanted = question.text.removeprefix("How many times is ").rstrip("?")
            assert question.answer == str(sum(entry == wanted for entry in entries))


def test_counts_cover_zero_to_five() -> None:
    assert {it.answer for it in drawn("count-words")} >= {"0", "1", "2", "3", "4", "5"}


def test_copies_and_reversals_are_correct() -> None:
    assert all(it.prompt.split(": ")[1] == it.answer for it in drawn("copy"))
    assert all(it.prompt.split("：")[1] == it.answer for it in drawn("copy-zh"))
    for it in drawn("reverse"):
        assert it.answer.split() == it.prompt.split(": ")[1].split()[::-1]


def from_facts(stated: list[tuple[str, str, str]], question: str) -> list[str]:
    if owner := re.match(r"What does (\w+) have", question):
        return [f"{n} has a {colour} {noun}." for n, colour, noun in stated if n == owner[1]]
    if thing := re.match(r"Who has the (\w+)", question):
        return [name for name, _, noun in stated if noun == thing[1]]
    asked = question.removeprefix("What colour is the ").rstrip("?")
    return [colour for _, colour, noun in stated if noun == asked]


def test_facts_are_answered_from_their_sentence() -> None:
    for it in drawn("fact"):
        *_, question = re.split(r"(?<=\.) ", it.prompt)
        stated = re.findall(r"(\w+) has a (\w+) (\w+)\.", it.prompt)
        assert from_facts(stated, question) == [it.answer]
        for further in it.more:
            assert from_facts(stated, further.text) == [further.answer]


def test_chinese_facts_are_answered_from_their_clause() -> None:
    for it in drawn("fact-zh"):
        stated, question = it.prompt.split("。")
        if thing := re.fullmatch(r"谁有(.)？", question):
            assert re.search(f"{it.answer}有.{thing[1]}", stated)
        else:
            assert it.answer in stated.split("，")
            assert it.answer.startswith(question.removesuffix("什么？"))


def test_recall_answers_from_an_earlier_turn() -> None:
    for it in drawn("recall"):
        name = it.prompt.removeprefix("What does ").removesuffix(" have?")
        assert it.answer.startswith(f"{name} has a ")
        assert f"Remember: {it.answer}" in [m["content"] for m in it.messages]


def test_sequences_are_complete() -> None:
    for it in drawn("sequence"):
        first, last = (int(number) for number in re.findall(r"\d+", it.prompt))
        assert [int(number) for number in it.answer.split()] == list(range(first, last + 1))


@pytest.mark.parametrize("kind", ["tool-one", "tool-two"])
def test_calls_use_a_given_tool_with_exactly_its_required_arguments(kind: str) -> None:
    for it in drawn(kind):
        body = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", it.answer)
        assert body is not None
        call = json.loads(body[1])
        functions = {tool["function"]["name"]: tool["function"] for tool in it.tools}
        parameters = functions[call["name"]]["parameters"]
        assert list(call["arguments"]) == parameters["required"] == list(parameters["properties"])
        assert all(str(value) in it.prompt for value in call["arguments"].values())


def test_answer_reports_the_tool_result() -> None:
    for it in drawn("tool-result"):
        ((topic, result),) = json.loads(it.prompt).items()
        assert f"The {topic} in" in it.answer
        assert it.answer.endswith(f" is {result}.")


@pytest.mark.parametrize("kind", GRADED)
def test_training_and_grading_subjects_are_disjoint(kind: str) -> None:
    trained = {it.subject for it in drawn(kind, 1000, "train")}
    graded = {it.subject for it in drawn(kind, 100, "grade")}
    assert trained
    assert graded
    assert not trained & graded


def test_split_of_a_sum_ignores_order_wording_and_language() -> None:
    sides: dict[frozenset[int], set[Part]] = {}
    for kind in ("add-2", "add-zh"):
        for it in drawn(kind, 3000):
            pair = frozenset(int(number) for number in re.findall(r"\d+", it.prompt))
            sides.setdefault(pair, set()).add(split(kind, it.subject))
    assert all(len(side) == 1 for side in sides.values())


def test_one_subject_in_ten_is_reserved_for_grading() -> None:
    reserved = sum(split("copy", f"subject {n}") == "grade" for n in range(10_000))
    assert 900 < reserved < 1100


def test_training_conversations_contain_no_graded_subjects() -> None:
    rng = Random(3)
    for _ in range(2000):
        it = training_item(rng, BASE_WEIGHTS)
        assert it.kind not in GRADED or split(it.kind, it.subject) == "train"
        for text in (m["content"] for m in it.messages if m["role"] == "user"):
            numbers = sorted(int(number) for number in re.findall(r"\d+", text))
            if len(numbers) == 2 and re.search(r"\+|plus|Add|加", text):
                assert split("add-2", f"{numbers[0]}+{numbers[1]}") == "train"
