import json

import pytest

from sizeup_loadtest.ability.grade import UNPARSED, grade
from sizeup_loadtest.ability.item import AnswerFormat, Item
from sizeup_loadtest.workload.prompt import ChatMessage


def item(check: AnswerFormat, expected: str, *options: str) -> Item:
    return Item("k", 1, "k-1-0", (ChatMessage("user", "?"),), expected, check, options)


RIGHT: list[tuple[Item, str]] = [
    (item("number", "1432"), "1432"),
    (item("number", "1432"), "The sum of 47 and 1385 is **1,432**."),
    (item("number", "1432"), "１４３２"),
    (item("number", "1432"), "<think>maybe 5</think>\n1432"),
    (item("number", "1432"), "First 47, then 1385.\nAnswer: 47 + 1385 = 1432 marbles (of 3000)"),
    (item("number", "1432"), "一步一步：\n答案：1432"),
    (item("number", "1556"), "等于1556。"),
    (item("number", "1556"), "1100加456等于1556。"),
    (item("number", "1556"), "答案是1556"),
    (item("number", "1556"), "答案为1556"),
    (item("number", "1556"), "答案：1100加456等于1556。"),
    (item("number", "3"), "答案：小明有3个苹果"),
    (item("number", "12"), "答案: 12 等于 3乘4"),
    (item("number", "12"), "答案：12等于3乘4等于12"),
    (item("number", "-12"), "答案：-12等于3乘-4"),
    (item("number", "12"), "答案：3的4倍等于12。"),
    (item("number", "7"), "答案：3与4的和等于7"),
    (item("number", "6"), "答案：1加2加3等于3加3等于6"),
    (item("number", "12"), "答案：12（因为8＋4等于十二）"),
    (item("number", "8"), "Answer: 8 (= eight)"),
    (item("number", "5"), "答案是5，不是3"),
    (item("number", "53099"), "北京的代码是53099。"),
    (item("numbers", "3 4 5"), "从3数到5：3、4、5。"),
    (item("choice", "小明", "小明", "小红"), "答案是小明。"),
    (item("number", "1432"), r"\boxed{1432}"),
    (item("number", "-7"), "0 − 7 = −7"),
    (item("number", "2"), "5 - 3 = 2"),
    (item("numbers", "3 4 5"), "Sure, from 3 to 5: 3, 4, 5."),
    (item("numbers", "100 200"), "100,200"),
    (item("numbers", "3 4"), "1. 3\n2. 4"),
    (item("words", "key cup"), "Key, cup."),
    (item("words", "key cup"), "The words reversed:\n1. key\n2. cup"),
    (item("letters", "cba"), "c-b-a"),
    (item("letters", "山水"), "好的：山水。"),
    (item("choice", "key", "key", "cup"), "The cup moved.\nAnswer: the key"),
    (item("choice", "Ann", "Ann", "Tom"), "Ann has it."),
    (item("json", '{"a": 1}'), '```json\n{"a": 1}\n```'),
    (item("json", '{"a": 1}'), '```json {"a": 1}```'),
    (item("json", '{"a": 1}'), '```json{"a": 1}```'),
    (item("json", '{"a": 1}'), 'So: ```{"a": 1}```'),
    (item("json", '{"a": 1}'), '```JSON {"a": 1}```'),
    (item("json", '{"a": 1}'), '```JSON\n{"a": 1}\n```'),
    (item("json", '{"a": 1}'), '```json\n{"a": 1}'),
    (item("json", '{"a": 1}'), 'First ```{"b": 2}```, then ```json {"a": 1}'),
    (item("json", '{"a": 1, "b": [true]}'), 'Here: {"b": [true], "a": 1} as asked.'),
    (item("json", '{"a": 1.0}'), '{"a": 1}'),
    (item("json", "[1, 2]"), "Here: [1, 2]."),
    (item("json", "[1, 2]"), "```json\n[1, 2]\n```"),
    (item("json", "true"), "Answer: true"),
    (item("json", "null"), "null"),
    (item("number", "1000"), "1e3"),
    (item("number", "0.5"), ".5"),
    (item("number", "1200000"), "1.2 million"),
    (item("number", "1.2"), "Answer: **1.2 million**."),
    (item("number", "0.5"), "1/2"),
    (item("number", "0.5"), "One of two.\nThe answer is 1/2."),
    (item("number", "0.5"), "50%"),
    (item("number", "50"), "Answer: 50 percent"),
    (item("number", "0.5"), ".5%"),
    (item("number", "0"), "-0"),
    (item("number", "1000"), "The answer is 1000. It has 4 digits."),
    (item("number", "6"), "The answer is not 5 but 6"),
    (item("number", "1200000"), "120万"),
    (item("number", "42"), "四十二。"),
    (item("number", "200030006"), "答案：两亿零三万零六"),
    (item("choice", "B", "A", "B"), "b) because a cat is one."),
    (item("choice", "B", "A", "B"), "Answer: B, as A is wrong."),
    (item("choice", "B", "A", "B"), "The answer is a letter: B"),
    (item("choice", "B", "A", "B"), "选B"),
    (item("choice", "yes", "yes", "no"), "Yes, there is no other."),
    (item("json", '{"a": 1}'), 'The schema {} gives {"a": 1}, not {x}.'),
    (item("json", "[1, 2]"), "See [a] and [b]: [1, 2]"),
    (item("exact", "Paris"), "The answer is Paris."),
    (item("exact", "The answer is Paris"), "The answer is Paris."),
    (item("exact", "New York"), "new  york."),
    (item("exact", "New York"), "I think so.\nAnswer: **New York**"),
    (item("exact", "New York"), "It is on the coast.\n“New York”"),
    (item("exact", "北京"), "答案：北京。"),
    (item("exact", "..."), "..."),
    (item("regex", r"(?i)\bparis\b"), "It is PARIS, of course."),
    (item("regex", r"^\d+ km$"), "<think>no</think>12 km"),
    (item("rules", json.dumps({"words": 3, "upper": False})), '"the sea sleeps."'),
    (item("rules", json.dumps({"words": 3})), "```json is old```"),
    (item("rules", json.dumps({"first": "hat", "last": "key", "commas": 0})), "Hat and key."),
]
WRONG: list[tuple[Item, str]] = [
    (item("number", "1432"), "1433"),
    (item("number", "432"), "1,432"),
    (item("number", "7"), "-7"),
    (item("number", "0.3"), "3 of 10"),
    (item("number", "2"), "1/2"),
    (item("number", "5"), ".5%"),
    (item("number", "0.5"), "1/" + "3" * 5000),
    (item("choice", "B", "A", "B"), "A is wrong, B is right"),
    (item("number", "3"), "答案是5，不是3"),
    (item("number", "123"), "123加456等于579。"),
    (item("numbers", "3 4 5"), "1 2 3 4 5"),
    (item("numbers", "3 4 5"), "3 4 5 6"),
    (item("words", "key cup"), "cup key"),
    (item("choice", "key", "key", "cup"), "key or cup"),
    (item("choice", "B", "A", "B"), "A) is the one, not B"),
    (item("number", "1"), "四十二"),
    (item("choice", "Ann", "Ann", "Tom"), "Anna and Tom"),
    (item("json", '{"a": 1}'), '{"a": true}'),
    (item("json", '{"a": 1}'), '{"a": 1, "b": 2}'),
    (item("json", '{"a": 1}'), '{"a": 2}'),
    (item("json", "[1, 2]"), "[2, 1]"),
    (item("json", "[true]"), "[1]"),
    (item("exact", "York"), "New York"),
    (item("exact", "foo_bar"), "foobar"),
    (item("exact", "..."), "!"),
    (item("regex", "^yes$"), "yes, no"),
    (item("rules", json.dumps({"words": 3})), "the sea sleeps now"),
    (item("rules", json.dumps({"without": "z"})), "a Zoo"),
    (item("rules", json.dumps({"upper": True})), "Not all"),
]
NOTHING: list[tuple[Item, str]] = [
    (item("number", "5"), "I do not know."),
    (item("number", "5"), "<think>it is 5"),
    (item("number", "5"), "x5, a.5 and b_5"),
    (item("number", "5"), ""),
    (item("choice", "key", "key", "cup"), "Nothing."),
    (item("choice", "A", "A", "B"), "As a model I cannot answer that."),
    (item("number", "1"), "这是一个问题"),
    (item("json", "{}"), "{not json}"),
    (item("json", "[]"), '{"a": 1}'),
    (item("json", "1"), "one"),
    (item("exact", "a"), "<think>a"),
    (item("numbers", "3"), "three"),
]


@pytest.mark.parametrize(("question", "text"), RIGHT)
def test_presentation_is_ignored(question: Item, text: str) -> None:
    result = grade(question, text)
    assert result.correct
    assert result.parsed


@pytest.mark.parametrize(("question", "text"), WRONG)
def test_a_different_answer_is_wrong(question: Item, text: str) -> None:
    result = grade(question, text)
    assert not result.correct
    assert result.parsed


@pytest.mark.parametrize(("question", "text"), NOTHING)
def test_a_missing_answer_is_wrong_and_unparsed(question: Item, text: str) -> None:
    assert grade(question, text) == UNPARSED


def test_a_pattern_that_backtracks_forever_is_stopped() -> None:
    assert grade(item("regex", "^(a|aa)+$"), "a" * 80 + "b") == UNPARSED
