"""The chat template is Qwen2.5's, without its default system prompt and tools preamble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedTokenizerBase

USER = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
TOOL_TEXT = (
    '{"type": "function", "function": {"name": "get_time", '
    '"parameters": {"type": "object", "properties": {}}}}'
)
CALL = {"type": "function", "function": {"name": "get_time", "arguments": {"city": "北京"}}}


def rendered(
    tokenizer: PreTrainedTokenizerBase,
    *messages: dict[str, Any],
    tools: list[dict[str, Any]] | None = None,
    prompt: bool = False,
) -> str:
    definitions: list[dict[str, Any] | Callable[..., Any]] | None = list(tools) if tools else None
    text = tokenizer.apply_chat_template(
        list(messages), tools=definitions, tokenize=False, add_generation_prompt=prompt
    )
    return str(text)


def test_no_default_system_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    assert rendered(tokenizer, USER) == "<|im_start|>user\nHi<|im_end|>\n"


def test_turns_and_generation_prompt(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    answer = {"role": "assistant", "content": "Hello!"}
    assert rendered(tokenizer, SYSTEM, USER, answer, USER, prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello!<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_tools_are_in_the_system_turn(tokenizer: PreTrainedTokenizerBase) -> None:
    tools = f"# Tools\n\n<tools>\n{TOOL_TEXT}\n{TOOL_TEXT}\n</tools><|im_end|>\n"
    user = "<|im_start|>user\nHi<|im_end|>\n"
    assert rendered(tokenizer, USER, tools=[TOOL, TOOL]) == f"<|im_start|>system\n{tools}{user}"
    assert rendered(tokenizer, SYSTEM, USER, tools=[TOOL, TOOL]) == (
        f"<|im_start|>system\nBe brief.\n\n{tools}{user}"
    )


def test_tool_calls_are_in_hermes_format(tokenizer: PreTrainedTokenizerBase) -> None:
    call = '\n<tool_call>\n{"name": "get_time", "arguments": {"city": "北京"}}\n</tool_call>'
    without_text = {"role": "assistant", "content": "", "tool_calls": [CALL, CALL["function"]]}
    with_text = {"role": "assistant", "content": "Wait.", "tool_calls": [CALL]}
    assert rendered(tokenizer, without_text, with_text) == (
        f"<|im_start|>assistant{call}{call}<|im_end|>\n"
        f"<|im_start|>assistant\nWait.{call}<|im_end|>\n"
    )


def test_consecutive_tool_results_share_a_user_turn(tokenizer: PreTrainedTokenizerBase) -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    noon, late = {"role": "tool", "content": "noon"}, {"role": "tool", "content": "late"}
    text = rendered(tokenizer, USER, call, noon, late, prompt=True)
    assert text.endswith(
        "</tool_call><|im_end|>\n<|im_start|>user"
        "\n<tool_response>\nnoon\n</tool_response>"
        "\n<tool_response>\nlate\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )
