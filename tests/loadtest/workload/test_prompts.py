import json
from pathlib import Path

import pytest

from sizeup_loadtest.config.schema import Prompts, PromptSet
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import prompts
from sizeup_loadtest.workload.prompt import ChatMessage

SETS: tuple[PromptSet, ...] = ("chat-short", "chat-long", "rag", "text")


@pytest.mark.parametrize("name", SETS)
def test_a_prompt_depends_on_seed_and_index_only(name: PromptSet) -> None:
    source = prompts.source(Prompts(set=name))
    later = source(5, None)
    assert prompts.source(Prompts(set=name))(5, None) == later
    assert prompts.source(Prompts(set=name, seed=8))(5, None).messages != later.messages
    assert source(6, None).messages != later.messages


def test_short_questions_are_short_and_some_are_chinese() -> None:
    source = prompts.source(Prompts(set="chat-short"))
    texts = [source(i, None).messages[0].content for i in range(200)]
    assert max(len(text.split()) for text in texts) <= 40
    chinese = sum(any("一" <= letter <= "鿿" for letter in text) for text in texts)
    assert 20 < chinese < 100


def test_a_long_chat_has_turns_and_ends_with_the_user() -> None:
    turns = prompts.source(Prompts(set="chat-long"))(0, None).messages
    assert [turn.role for turn in turns] == ["user", "assistant"] * 3 + ["user"]


@pytest.mark.parametrize("words", [1, 2, 100, 2000])
def test_text_has_the_requested_words(words: int) -> None:
    source = prompts.source(Prompts(set="text"))
    assert len(source(3, words).messages[0].content.split()) == words


def test_passages_have_about_the_requested_length_and_the_answer() -> None:
    text = prompts.source(Prompts(set="rag"))(0, 3000).messages[0].content
    assert 2900 < len(text.split()) < 3100
    assert "opens locker" in text


def test_a_count_makes_prompts_repeat() -> None:
    source = prompts.source(Prompts(count=3))
    assert source(4, None) == source(1, None)
    assert source(2, None) != source(1, None)


def write(folder: Path, *lines: object) -> Prompts:
    file = folder / "p.jsonl"
    file.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return Prompts(file=str(file))


def test_a_file_has_prompts_or_messages(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    config = write(tmp_path, {"prompt": "one", "key": "k"}, "", {"messages": turns})
    source = prompts.source(config)
    assert (source(0, None).key, source(0, None).messages) == ("k", (ChatMessage("user", "one"),))
    assert [m.role for m in source(1, None).messages] == ["system", "user"]
    assert source(2, None) == source(0, None)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("{",),
        ("[1]",),
        ({"prompt": 3},),
        ({"messages": []},),
        ({"messages": [{"role": "robot", "content": "x"}]},),
        ({"prompt": "a", "key": 1}, {"prompt": "b", "key": 1}),
    ],
)
def test_an_invalid_file_is_rejected(tmp_path: Path, lines: tuple[object, ...]) -> None:
    config = write(tmp_path, *lines)
    with pytest.raises(ConfigError, match=r"prompts\.file"):
        prompts.source(config)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompts\.file"):
        prompts.source(Prompts(file=str(tmp_path / "none")))
