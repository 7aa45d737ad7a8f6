import pytest

from sizeup_inference.text.answer_parser import (
    AnswerParser,
    Content,
    Part,
    Reasoning,
)
from sizeup_inference.text.tool_call import Call

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


def run(
    text: str,
    *,
    size: int,
    thinking: bool = True,
    is_thinking: bool = False,
    tools: bool = True,
) -> tuple[str, str, list[Call]]:
    """Feed text in pieces of a size; return reasoning, content and calls."""
    parser = AnswerParser(thinking=thinking, is_thinking=is_thinking, tools=tools)
    parts: list[Part] = []
    for start in range(0, len(text), size):
        parts += parser.feed(text[start : start + size])
    parts += parser.flush()
    reasoning = "".join(part.text for part in parts if isinstance(part, Reasoning))
    content = "".join(part.text for part in parts if isinstance(part, Content))
    return reasoning, content, [part for part in parts if isinstance(part, Call)]


ADD = Call("add", {"a": 1})


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "reasoning", "content", "calls"),
    [
        ("Hello", "", "Hello", []),
        ("a < b <thin", "", "a < b <thin", []),
        ("<think>\nwhy\n</think>\n\nbecause", "why", "because", []),
        ("\n<think>why</think>because", "why", "because", []),
        ("<think>\n\n</think>\n\nyes", "", "yes", []),
        ("<think>cut off </thi", "cut off </thi", "", []),
        ("hi <think>no</think>", "", "hi <think>no</think>", []),
        (CALL, "", "", [ADD]),
        (f"{CALL}\n{CALL}", "", "", [ADD, ADD]),
        (f"Let me.\n{CALL}", "", "Let me.", [ADD]),
        (f"{CALL}\nDone.", "", "\nDone.", [ADD]),
        (f"<think>\nhm\n</think>\n\n{CALL}", "hm", "", [ADD]),
        (CALL.removesuffix("\n</tool_call>"), "", "", [ADD]),
        ("x <tool_call>{nope}</tool_call> y", "", "x <tool_call>{nope}</tool_call> y", []),
        ("<tool_call>\n{nope", "", "<tool_call>\n{nope", []),
        ("<tool_calls> <tool_c", "", "<tool_calls> <tool_c", []),
        ("ends in space \n", "", "ends in space \n", []),
        (
            '<tool_call>{"name": "say", "arguments": {"t": "</tool_call>"}}</tool_call> x',
            "",
            " x",
            [Call("say", {"t": "</tool_call>"})],
        ),
        (
            '<tool_call>{"name": "say", "arguments": {"t": "\\"</tool_call>\\\\"}}</tool_call>',
            "",
            "",
            [Call("say", {"t": '"</tool_call>\\'})],
        ),
        (CALL.removesuffix("l_call>"), "", "", [ADD]),
        (
            f'<tool_call>{{"x}}</tool_call>{CALL}<tool_call>{{"y}}</tool_call>',
            "",
            '<tool_call>{"x}</tool_call><tool_call>{"y}</tool_call>',
            [ADD],
        ),
        # A string that is never closed hides the tags after it until the end.
        (f'<tool_call>{{"a}}</tool_call> y {CALL}', "", '<tool_call>{"a}</tool_call> y', [ADD]),
    ],
)
def test_reasoning_content_and_calls_are_parsed_for_any_split(
    text: str, reasoning: str, content: str, calls: list[Call], size: int
) -> None:
    assert run(text, size=size) == (reasoning, content, calls)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_prompt_may_end_inside_think(size: int) -> None:
    assert run("\nwhy\n</think>\nso", size=size, is_thinking=True) == ("why", "so", [])


@pytest.mark.parametrize("size", [1, 1000])
def test_disabled_features_are_not_parsed(size: int) -> None:
    text = f"<think>a</think> {CALL}"
    assert run(text, size=size, thinking=False, tools=False) == ("", text, [])


def test_plain_text_is_not_held_back() -> None:
    parser = AnswerParser(thinking=True, is_thinking=False, tools=True)
    assert parser.feed("Hello") == [Content("Hello")]
    assert parser.feed(" world") == [Content(" world")]


def test_a_possible_start_of_a_tag_is_held_back() -> None:
    parser = AnswerParser(thinking=False, is_thinking=False, tools=True)
    assert parser.feed("so <tool_") == [Content("so")]
    assert parser.feed("box>") == [Content(" <tool_box>")]


def test_is_thinking_follows_the_text() -> None:
    parser = AnswerParser(thinking=True, is_thinking=False, tools=False)
    assert not parser.is_thinking
    parser.feed("<think>")
    assert parser.is_thinking
    parser.feed("x</think>")
    assert not parser.is_thinking


def test_many_unclosed_strings_are_cut_once() -> None:
    unit = '<tool_call>"</tool_call>"'
    parser = AnswerParser(thinking=False, is_thinking=False, tools=True)
    parts = parser.feed(unit * 4001) + parser.flush()
    assert "".join(part.text for part in parts if isinstance(part, Content)) == unit * 4001
