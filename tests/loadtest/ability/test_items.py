from dataclasses import replace

import pytest

from loadtest.recording_ability import answered
from sizeup_loadtest.ability import score
from sizeup_loadtest.ability.grade import grade
from sizeup_loadtest.ability.items import KINDS, LEVELS, items, ladder
from sizeup_loadtest.data.record import Outcome
from sizeup_loadtest.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_expected_is_right(kind: str) -> None:
    for level in LEVELS:
        for item in items(kind, level, seed=1, n=5):
            if item.check != "rules":
                assert grade(item, item.expected).correct, item


def test_items_follow_the_seed_and_not_their_number() -> None:
    assert items("sorting", 3, 7, 10)[:4] == items("sorting", 3, 7, 4)
    assert items("sorting", 3, 7, 4) != items("sorting", 3, 8, 4)


def test_no_item_is_asked_twice() -> None:
    made = ladder(None, None, 7, 1000)
    assert len({item.key for item in made}) == len(made)
    assert len({item.messages for item in made}) == len(made)


def test_the_ladder_is_even() -> None:
    made = ladder(["sorting", "needle"], (2, 1), 7, 9)
    cells = [(item.kind, item.level) for item in made]
    counts = {cell: cells.count(cell) for cell in cells}
    assert sorted(counts.values()) == [2, 2, 2, 3]


def test_unknown_kinds_and_levels_are_rejected() -> None:
    with pytest.raises(ConfigError, match="kind adding"):
        ladder(["adding"], None, 7, 10)
    with pytest.raises(ConfigError, match=r"ability\.levels: 7"):
        ladder(None, (7,), 7, 10)


def test_errors_are_not_graded() -> None:
    asked = items("addition", 2, 7, 4)
    records = [answered(item, item.expected) for item in asked[:2]]
    records.append(answered(asked[2], "nothing"))
    records.append(answered(asked[3], "", Outcome.TIMEOUT))
    given = score.grades(asked, records)
    found = score.result(asked, records, given)
    assert found is not None
    assert (found.overall.successes, found.overall.n) == (2, 3)
    assert (found.unparsed, found.errors) == (1, 1)
    assert [(cell.level, cell.score.n) for cell in found.kinds] == [(2, 3)]


def test_a_size_without_answers_has_no_ability() -> None:
    asked = items("addition", 2, 7, 1)
    records = [answered(asked[0], "", Outcome.BUSY)]
    given = score.grades(asked, records)
    assert score.result(asked, records, given) is None
    assert score.pairs({"a": given, "b": given}) == ()


def test_right_answers_are_set_against_the_time_of_their_blocks() -> None:
    """From the first request sent to the last ended, in each block, failed ones included."""
    asked = items("addition", 2, 7, 4)
    records = []
    for place, (item, text) in enumerate(
        zip(asked, ("", asked[1].expected, "x", "y"), strict=True)
    ):
        made = answered(item, text, Outcome.OK if text else Outcome.TIMEOUT)
        planned = replace(made.planned, block=place // 2)
        begun, ended = place * 1_000_000_000, (place + 2) * 1_000_000_000
        records.append(replace(made, planned=planned, sent_ns=begun, ended_ns=ended))
    found = score.result(asked, records, score.grades(asked, records))
    assert found is not None
    assert found.correct_per_second is not None
    assert found.correct_per_second.value == pytest.approx(1 / (3 + 3))


def test_answers_that_were_cut_are_counted() -> None:
    asked = items("addition", 2, 7, 3)
    endings = ("length", "stop", None)
    records = [
        replace(answered(item, item.expected), finish_reason=ending)
        for item, ending in zip(asked, endings, strict=True)
    ]
    for known, cut in ((3, 1), (0, None)):
        told = [*records[:known], *(replace(r, finish_reason=None) for r in records[known:])]
        found = score.result(asked, told, score.grades(asked, told))
        assert found is not None
        assert found.truncated == cut


def test_sizes_are_paired_by_item() -> None:
    asked = items("addition", 3, 7, 8)
    small = score.grades(asked, [answered(item, "0") for item in asked[:7]])
    large = score.grades(asked, [answered(item, item.expected) for item in asked])
    pair = score.paired("small", "large", small, large)
    assert (pair.only_a_correct, pair.only_b_correct) == (0, 7)
    assert pair.mcnemar_p == pytest.approx(2 / 2**7)
