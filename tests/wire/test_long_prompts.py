"""Sizes of prompts by characters, and what is cut."""

import sys
import unicodedata
from typing import Any

import pytest

from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TokenPrompt,
    ToolCallRequest,
)
from sizeup_wire.long_prompts import (
    CharacterRuler,
    characters,
    cut,
    exceeds,
    has_long_tools,
    too_long,
)

RULER = CharacterRuler()
SYSTEM = ChatMessage(role="system", content="be kind")
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "description": "d" * 100}}


def chat(*contents: str, **fields: Any) -> ChatPrompt:
    roles = ("user", "assistant")
    messages = [ChatMessage(role=roles[i % 2], content=text) for i, text in enumerate(contents)]
    return ChatPrompt(messages=tuple(messages), **fields)


def test_no_character_is_normalized_to_fewer_bytes_than_its_share() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if not unicodedata.is_normalized("NFD", character):
            composed = unicodedata.normalize("NFC", character).encode()
            written = unicodedata.normalize("NFD", character)
            assert len(written) <= characters(len(composed), 1)


@pytest.mark.parametrize(
    "prompt",
    [
        TextPrompt(text="x" * 10),
        AutoPrompt(text="x" * 6, system="y" * 4),
        InfillPrompt(prefix="x" * 6, suffix="y" * 4),
        chat("x" * 3, "y" * 3, "z" * 4),
        chat("x" * 3, "<think>long ago</think>" + "y" * 3, "z" * 4),
        ChatPrompt(messages=(ChatMessage(role="user", content="x" * 10, thinking="y" * 9),)),
    ],
)
def test_a_prompt_of_the_budget_does_not_exceed_it(prompt: Prompt) -> None:
    assert not exceeds(prompt, RULER, 10)
    assert exceeds(prompt, RULER, 9)


def test_tools_and_calls_are_part_of_a_prompt() -> None:
    call = ToolCallRequest(name="f", arguments={"a": "x" * 100})
    calling = ChatMessage(role="assistant", tool_calls=(call,))
    for prompt in (chat("hi", tools=(TOOL,)), ChatPrompt(messages=(calling,))):
        assert exceeds(prompt, RULER, 100)
        assert has_long_tools(prompt, RULER, 100)
        assert not has_long_tools(prompt, RULER, 200)


def test_tokens_have_no_texts() -> None:
    prompt = TokenPrompt(token_ids=(1,) * 100)
    assert not exceeds(prompt, RULER, 1)
    assert not has_long_tools(prompt, RULER, 1)
    assert cut(prompt, RULER, 1) == prompt


def test_a_text_loses_its_middle() -> None:
    assert cut(TextPrompt(text="abcdefgh"), RULER, 3) == TextPrompt(text="abcfgh")
    assert cut(TextPrompt(text="abcdefgh"), RULER, 4) == TextPrompt(text="abcdefgh")


def test_several_texts_are_cut_as_one() -> None:
    prompt = AutoPrompt(system="abcdef", text="uvwxyz")
    assert cut(prompt, RULER, 2) == AutoPrompt(system="ab", text="yz")
    assert cut(prompt, RULER, 8) == prompt
    infill = InfillPrompt(prefix="abc", suffix="uvwxyz")
    assert cut(infill, RULER, 4) == InfillPrompt(prefix="abc", suffix="uwxyz")


def test_a_conversation_loses_its_oldest_turns() -> None:
    prompt = chat(*("x" * 10 for _ in range(9)))
    assert cut(prompt, RULER, 35).messages == prompt.messages[4:]
    assert cut(prompt, RULER, 1000) == prompt


def test_system_messages_and_the_last_one_stay() -> None:
    late = ChatMessage(role="system", content="and brief")
    messages = (SYSTEM, *chat("a" * 50, "b" * 50).messages, late, *chat("last").messages)
    kept = cut(ChatPrompt(messages=messages), RULER, 20).messages
    end = messages[2].model_copy(update={"content": "b" * 20})
    assert kept == (SYSTEM, end, late, messages[-1])


def test_messages_that_stay_lose_their_middle() -> None:
    long = (
        SYSTEM.model_copy(update={"content": "s" * 50}),
        *chat("old", "o" * 30, "u" * 50).messages,
    )
    kept = cut(ChatPrompt(messages=long), RULER, 20).messages
    assert [len(message.content) for message in kept] == [20, 20, 20]


def test_the_error_has_the_numbers_that_are_known() -> None:
    assert "resulted in 9 tokens" in too_long(TextPrompt(text=""), 5, 9)
    assert "maximum context length is 6 tokens" in too_long(TextPrompt(text=""), 5)
    assert "more than 5 tokens" in too_long(chat("a"), 5)
