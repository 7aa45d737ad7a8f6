from dataclasses import replace

import pytest

from loadtest.recording_ability import answered
from sizeup_loadtest.ability import score
from sizeup_loadtest.ability.grade import grade
from sizeup_loadtest.ability.items import ALL_KINDS, KINDS, LEVELS, items, ladder
from sizeup_loadtest.data.record import Outcome
from sizeup_loadtest.errors import ConfigError


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_expected_answer_is_correct(kind: str) -> None:
    for level in LEVELS:
        for item in items(kind, level, seed=1, n=5):
            if item.check != "rules":
                assert grade(item, item.expected).correct, item


def test_items_depend_on_the_seed_and_not_on_their_number() -> None:
    assert items("sorting", 3, 7, 10)[:4] == items("sorting", 3, 7, 4)
    assert items("sorting", 3, 7, 4) != items("sorting", 3, 8, 4)


def test_items_are_distinct() -> None:
    made = ladder(None, None, 7, 1000)
    assert len({item.key for item in made}) == len(made)
    assert len({item.messages for item in made}) == len(made)


def test_the_ladder_is_balanced() -> None:
    made = ladder(["sorting", "needle"], (2, 1), 7, 9)
    cells = [(item.kind, item.level) for item in made]
    counts = {cell: cells.count(cell) for cell in cells}
    assert sorted(counts.values()) == [2, 2, 2, 3]


def test_the_first_items_are_a_fair_sample() -> None:
    """A run of limited time asks them only: every kind and level once before any twice."""
    made = ladder(None, None, 7, 200)
    cells = len(KINDS) * len(LEVELS)
    assert len({(item.kind, item.level) for item in made[:cells]}) == cells
    assert {item.kind for item in made[: 2 * len(KINDS)]} > {"needle", "json"}
    assert made[:60] == ladder(None, None, 7, 60)


def test_unknown_kinds_and_levels_are_rejected() -> None:
    with pytest.raises(ConfigError, match="kind adding"):
        ladder(["adding"], None, 7, 10)
    with pytest.raises(ConfigError, match=r"ability\.levels: 7"):
        ladder(None, (7,), 7, 10)


def test_errors_are_not_graded() -> None:
    questions = items("addition", 2, 7, 4)
    records = [answered(item, item.expected) for item in questions[:2]]
    records.append(answered(questions[2], "nothing"))
    records.append(answered(questions[3], "", Outcome.TIMEOUT))
    grades = score.grades(questions, records)
    found = score.result(questions, records, grades)
    assert found is not None
    assert (found.overall.successes, found.overall.n) == (2, 3)
    assert (found.unparsed, found.errors) == (1, 1)
    assert [(cell.level, cell.score.n) for cell in found.kinds] == [(2, 3)]


def test_a_model_without_answers_has_no_result() -> None:
    questions = items("addition", 2, 7, 1)
    records = [answered(questions[0], "", Outcome.BUSY)]
    grades = score.grades(questions, records)
    assert score.result(questions, records, grades) is None
    assert score.pairs({"a": grades, "b": grades}) == ()


def test_correct_answers_per_second_by_block() -> None:
    """From the first request sent to the last ended, in each block, failed ones included."""
    questions = items("addition", 2, 7, 4)
    records = []
    for place, (item, text) in enumerate(
        zip(questions, ("", questions[1].expected, "x", "y"), strict=True)
    ):
        made = answered(item, text, Outcome.OK if text else Outcome.TIMEOUT)
        planned = replace(made.planned, block=place // 2)
        begun, ended = place * 1_000_000_000, (place + 2) * 1_000_000_000
        records.append(replace(made, planned=planned, sent_ns=begun, ended_ns=ended))
    found = score.result(questions, records, score.grades(questions, records))
    assert found is not None
    assert found.correct_per_second is not None
    assert found.correct_per_second.value == pytest.approx(1 / (3 + 3))


def test_truncated_answers_are_counted() -> None:
    questions = items("addition", 2, 7, 3)
    endings = ("length", "stop", None)
    records = [
        replace(answered(item, item.expected), finish_reason=ending)
        for item, ending in zip(questions, endings, strict=True)
    ]
    for known, cut in ((3, 1), (0, None)):
        mixed = [*records[:known], *(replace(r, finish_reason=None) for r in records[known:])]
        found = score.result(questions, mixed, score.grades(questions, mixed))
        assert found is not None
        assert found.truncated == cut


def test_models_are_paired_by_item() -> None:
    questions = items("addition", 3, 7, 8)
    small = score.grades(questions, [answered(item, "0") for item in questions[:7]])
    large = score.grades(questions, [answered(item, item.expected) for item in questions])
    pair = score.paired("small", "large", small, large)
    assert (pair.only_a_correct, pair.only_b_correct) == (0, 7)
    assert pair.mcnemar_p == pytest.approx(2 / 2**7)


def test_wrong_answers_are_in_the_order_of_the_questions() -> None:
    questions = items("addition", 4, 7, 30)
    records = [answered(item, f"{item.expected}1") for item in reversed(questions[1:])]
    records += [answered(questions[0], "x" * 900)]
    found = score.result(questions, records, score.grades(questions, records))
    assert found is not None
    assert len(found.wrong) == score.MAX_WRONG
    first, second = found.wrong[:2]
    assert (first.parsed, second.parsed) == (False, True)
    assert len(first.answer) <= score.MAX_TEXT
    assert (second.question, second.expected, second.kind) == (
        questions[1].messages[0].content,
        questions[1].expected,
        "addition",
    )
    assert second.answer == f"{second.expected}1"
