import json
from pathlib import Path

import pytest

from sizeup_loadtest.ability.grade import grade
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.questions import KIND, questions, read
from sizeup_loadtest.config.schema import Ability
from sizeup_loadtest.errors import ConfigError


def written(folder: Path, text: str, name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def entry(folder: Path, **fields: object) -> Item:
    fields = {"question": "?", "expected": "x", **fields}
    (item,) = read(written(folder, json.dumps(fields)))
    return item


@pytest.mark.parametrize(
    ("expected", "check", "text"),
    [
        ("Paris", "exact", "Paris"),
        (42, "number", "42"),
        (-0.5, "number", "-0.5"),
        ("1,234", "number", "1234"),
        ("1,5", "exact", "1,5"),
        ("007", "exact", "007"),
        ("7b", "exact", "7b"),
        ({"a": [1]}, "json", '{"a": [1]}'),
        ([1, 2], "json", "[1, 2]"),
        (True, "json", "true"),
    ],
)
def test_the_check_follows_from_the_answer(
    expected: object, check: str, text: str, tmp_path: Path
) -> None:
    item = entry(tmp_path, expected=expected)
    assert (item.check, item.expected) == (check, text)
    assert grade(item, text).correct


def test_the_three_formats_are_the_same(tmp_path: Path) -> None:
    rows = [{"question": "2 + 2?", "expected": 4}, {"question": "Capital?", "expected": "Paris"}]
    lines = read(written(tmp_path, "\ufeff" + "\n".join(map(json.dumps, rows))))
    array = read(written(tmp_path, json.dumps(rows, indent=1), "mine.json"))
    table = read(written(tmp_path, "question,expected\n2 + 2?,4\nCapital?,Paris\n", "mine.csv"))
    assert lines == array == table
    assert [item.check for item in lines] == ["number", "exact"]
    assert {item.kind for item in lines} == {KIND}


def test_options_are_choices_and_are_named_in_the_question(tmp_path: Path) -> None:
    item = entry(tmp_path, question="Which?", options=["red", "blue"], expected="red")
    assert item.check == "choice"
    assert "red, blue" in item.messages[0].content
    text = "Is it red or blue?"
    assert entry(tmp_path, question=text, options=["red", "blue"], expected="red").messages[
        0
    ].content == (text)
    (row,) = read(written(tmp_path, "question,expected,options\nWhich?,4,4|5\n", "a.csv"))
    assert (row.check, row.options) == ("choice", ("4", "5"))


def test_a_question_can_be_parts_or_a_conversation(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    openai = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": parts},
    ]
    sharegpt = [
        {"from": "human", "value": "hi"},
        {"from": "gpt", "value": "yes?"},
        {"from": "human", "value": "a\nb"},
    ]
    assert [m.content for m in entry(tmp_path, question=parts).messages] == ["a\nb"]
    turns = entry(tmp_path, question=openai).messages
    assert [(m.role, m.content) for m in turns][-1] == ("user", "a\nb")
    assert turns == entry(tmp_path, question=sharegpt).messages


def test_system_prompts(tmp_path: Path) -> None:
    rows = [{"question": "a", "expected": "b", "system": "own"}, {"question": "c", "expected": "d"}]
    path = written(tmp_path, "\n".join(map(json.dumps, rows)))
    made = questions(Ability(file=str(path), system_prompt="all"))
    assert [(m.role, m.content) for item in made for m in item.messages[:1]] == [
        ("system", "own"),
        ("system", "all"),
    ]
    generated = questions(Ability(system_prompt="all", items=3))
    assert {item.messages[0].content for item in generated} == {"all"}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ({"question": "a"}, "expected"),
        ({"expected": "a"}, "question"),
        ({"question": " ", "expected": "a"}, "question"),
        ({"question": "a", "expected": None}, "expected"),
        ({"question": "a", "expected": "b", "chek": "exact"}, "did you mean check"),
        ({"question": "a", "expected": "b", "check": "rules"}, "check"),
        ({"question": "a", "expected": "b", "check": "number"}, "not a number"),
        ({"question": "a", "expected": "(", "check": "regex"}, "regular expression"),
        ({"question": "a", "expected": "{", "check": "json"}, "JSON"),
        ({"question": "a", "expected": "b", "options": ["c", "d"]}, "options"),
        ({"question": "a", "expected": "b", "check": "choice"}, "options"),
        ({"question": "a", "expected": "b", "options": "b"}, "options"),
        ({"question": "a", "expected": "b", "kind": ["k"]}, "kind"),
        ({"question": [{"role": "robot", "content": "a"}], "expected": "b"}, "question"),
        ({"question": [{"role": "assistant", "content": "a"}], "expected": "b"}, "question"),
        ({"question": [{"type": "image", "text": "a"}], "expected": "b"}, "question"),
        ({"question": "a", "expected": "b", "id": "1"}, "duplicate id"),
    ],
)
def test_a_fault_names_its_line(line: dict[str, object], word: str, tmp_path: Path) -> None:
    first = {"question": "good", "expected": "x", "id": "1"}
    path = written(tmp_path, f"{json.dumps(first)}\n{json.dumps(line)}\n")
    with pytest.raises(ConfigError, match=rf"ability\.file: .*mine\.jsonl line 2: .*{word}"):
        read(path)


def test_items_is_the_exact_number_or_an_error(tmp_path: Path) -> None:
    rows = [
        {"question": str(i), "expected": i, "kind": "odd" if i % 2 else "even"} for i in range(10)
    ]
    path = str(written(tmp_path, "\n".join(map(json.dumps, rows))))
    assert len(questions(Ability(file=path))) == 10
    assert len(questions(Ability(file=path, items=7))) == 7
    assert len(questions(Ability(file=path, kinds=("odd",)))) == 5
    with pytest.raises(ConfigError, match=r"items: 11 questions, .* has 10"):
        questions(Ability(file=path, items=11))
    with pytest.raises(ConfigError, match=r"no kind prime.*even, odd"):
        questions(Ability(file=path, kinds=("prime",)))
    for number in (1, 40, 126, 200):
        assert len(questions(Ability(items=number))) == number
    with pytest.raises(ConfigError, match=r"items: 5000 questions, .* have 55"):
        questions(Ability(items=5000, kinds=("multiplication",), levels=(1,)))
