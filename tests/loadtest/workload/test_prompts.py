import json
from pathlib import Path
from statistics import fmean

import pytest

from sizeup_loadtest.config.schema import Prompts, PromptSet
from sizeup_loadtest.config.workload import LengthDistribution, SharedPrefix
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


@pytest.mark.parametrize("words", [1, 2, 100, 2000])
def test_text_has_the_requested_words(words: int) -> None:
    source = prompts.source(Prompts(set="text"))
    assert len(source(3, words).messages[0].content.split()) == words


def test_lengths_of_a_distribution_differ_and_do_not_depend_on_order() -> None:
    spread = LengthDistribution(mean=200, stdev=50, min=100, max=300)
    source = prompts.source(Prompts(set="text", words=spread))
    sizes = [len(source(i).messages[0].content.split()) for i in range(400)]
    assert fmean(sizes) == pytest.approx(200, rel=0.05)
    assert 100 <= min(sizes) < 130
    assert 270 < max(sizes) <= 300
    assert len(source(7).messages[0].content.split()) == sizes[7]


def test_passages_have_about_the_requested_length_and_the_answer() -> None:
    text = prompts.source(Prompts(set="rag"))(0, 3000).messages[0].content
    assert 2900 < len(text.split()) < 3100
    assert "opens locker" in text


def test_a_count_makes_prompts_repeat() -> None:
    source = prompts.source(Prompts(count=3))
    assert source(4, None) == source(1, None)
    assert source(2, None) != source(1, None)


def test_groups_share_a_system_prompt() -> None:
    source = prompts.source(Prompts(shared_prefix=SharedPrefix(words=50, groups=3)))
    taken = [source(i).messages for i in range(9)]
    assert all([m.role for m in messages] == ["system", "user"] for messages in taken)
    prefixes = [messages[0].content for messages in taken]
    assert prefixes == prefixes[:3] * 3
    assert len(set(prefixes)) == 3
    assert {len(prefix.split()) for prefix in prefixes} == {50}
    assert len({messages[1].content for messages in taken}) == 9


def test_a_conversation_has_a_prefix_once_and_questions_of_its_own() -> None:
    config = Prompts(turns=3, shared_prefix=SharedPrefix(words=5))
    source = prompts.source(config)
    first, second = source.conversation(0), source.conversation(1)
    assert [(turn.conversation, turn.turn) for turn in second] == [(1, 0), (1, 1), (1, 2)]
    roles = [[m.role for m in turn.messages] for turn in first]
    assert roles == [["system", "user"], ["user"], ["user"]]
    assert first[0].messages[0] == second[0].messages[0]
    texts = [turn.messages[-1].content for turn in (*first, *second, source(0))]
    assert len(set(texts)) == 7


def write(folder: Path, *lines: object) -> Prompts:
    file = folder / "p.jsonl"
    file.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return Prompts(file=str(file))


def test_a_file_has_prompts_or_messages(tmp_path: Path) -> None:
    turns = [{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}]
    config = write(tmp_path, {"prompt": "one", "key": "k"}, "", {"messages": turns})
    source = prompts.source(config)
    assert (source(0, None).key, source(0, None).messages) == ("k", (ChatMessage("user", "one"),))
    assert [m.role for m in source(1, None).messages] == ["system", "user"]
    assert source(2, None) == source(0, None)


SHARE_GPT = {
    "id": "x",
    "conversations": [
        {"from": "system", "value": "s"},
        {"from": "human", "value": "one"},
        {"from": "gpt", "value": "answer"},
        {"from": "human", "value": "two"},
        {"from": "gpt", "value": "end"},
    ],
}


def test_sharegpt_ends_with_a_question(tmp_path: Path) -> None:
    messages = prompts.source(write(tmp_path, SHARE_GPT))(0).messages
    assert [m.content for m in messages] == ["s", "one", "answer", "two"]
    assert [m.role for m in messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(("turns", "expected"), [(2, [["s", "one"], ["two"]]), (9, None)])
def test_a_conversation_of_a_file_has_the_messages_of_its_user(
    tmp_path: Path, turns: int, expected: list[list[str]] | None
) -> None:
    config = write(tmp_path, SHARE_GPT).model_copy(update={"turns": turns})
    taken = prompts.source(config).conversation(4)
    texts = [[m.content for m in turn.messages] for turn in taken]
    assert texts == (expected or [["s", "one"], ["two"]])
    assert {turn.conversation for turn in taken} == {4}


def test_conversations_need_a_second_turn(tmp_path: Path) -> None:
    config = write(tmp_path, {"prompt": "one"}).model_copy(update={"turns": 2})
    with pytest.raises(ConfigError, match=r"prompts\.turns"):
        prompts.source(config)


def test_content_is_text_or_parts_of_it(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    config = write(tmp_path, {"messages": [{"role": "user", "content": parts}]})
    assert prompts.source(config)(0).messages == (ChatMessage("user", "a\nb"),)


def test_csv_has_prompts(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("key,prompt\nk,one\n,two\n")
    source = prompts.source(Prompts(file=str(tmp_path / "p.csv")))
    assert [source(i).key for i in range(2)] == ["k", "entry-2"]
    assert source(1).messages == (ChatMessage("user", "two"),)


IMAGE = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]


@pytest.mark.parametrize(
    "entry",
    [
        "{",
        "[1]",
        '{"prompt": "lone \\ud800"}',
        {"prompt": 3},
        {"prompt": " "},
        {"text": "x"},
        {"messages": []},
        {"messages": [3]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "x" * 10_000, "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": IMAGE}]},
        {"messages": [{"role": "user", "content": ["x"]}]},
        {"messages": [{"role": "system", "content": "x"}]},
        {"conversations": [{"from": "gpt", "value": "x"}]},
        {"prompt": "b", "key": "first"},
        {"prompt": "b", "key": "preload"},
    ],
)
def test_an_invalid_entry_is_refused_with_its_line(tmp_path: Path, entry: object) -> None:
    config = write(tmp_path, {"prompt": "a", "key": "first"}, entry)
    with pytest.raises(ConfigError, match=r"prompts\.file: .* line 2") as caught:
        prompts.source(config)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompts\.file"):
        prompts.source(Prompts(file=str(tmp_path / "none")))
