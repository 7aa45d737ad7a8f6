"""Prompts that are too long: found and cut by the sizes of their texts, before they are rendered.

Both services do it, the gateway by characters before a request is sent, inference by tokens before
the chat template sees it. Sizes count from below: what `exceeds` finds cannot fit, and what is cut
is too far from both ends to be part of a prompt that is cut to the budget. Pure.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, cast

from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TokenPrompt,
)

_FIELDS = ("system", "text", "prefix", "suffix")
"""Texts of the prompts that are no conversation, in the order of the model's prompt."""
_END_OF_THINKING = "</think>"
"""Templates leave out what an earlier turn has before it."""

_CHARACTERS_PER_BYTE = 2
"""More than a byte of a token stands for: NFC, the normalization of Qwen's vocabularies, makes two
bytes of at most three characters (U+01D5 of U, U+0308 and U+0304)."""

PromptT = TypeVar("PromptT", bound=Prompt)


class Ruler(Protocol):
    """Measures texts. Each method takes time in proportion to the size that it is given."""

    def size(self, text: str, enough: int) -> int:
        """Return the size of a text, or some size above `enough` if it is larger than that."""

    def start(self, text: str, size: int) -> int:
        """Return how many of the first characters have at least this size; all, if none have."""

    def end(self, text: str, size: int) -> int:
        """Return how many of the last characters have at least this size; all, if none have."""


def characters(tokens: int, longest_token: int) -> int:
    """Return the most characters that tokens of at most so many bytes can stand for."""
    return tokens * longest_token * _CHARACTERS_PER_BYTE


class CharacterRuler:
    """Measures texts in characters."""

    def size(self, text: str, enough: int) -> int:
        return len(text)

    def start(self, text: str, size: int) -> int:
        return min(len(text), size)

    end = start


def exceeds(prompt: Prompt, ruler: Ruler, budget: int) -> bool:
    """Whether a prompt is larger than the budget in any case."""
    return _exceed(_texts(prompt), ruler, budget)


def has_long_tools(prompt: Prompt, ruler: Ruler, budget: int) -> bool:
    """Whether what cannot be cut is larger: tools, and the calls of the last message."""
    if not isinstance(prompt, ChatPrompt):
        return False
    fixed = prompt.model_copy(update={"messages": prompt.messages[-1:]})
    texts = (*_tools(fixed), *(_calls(fixed.messages[0])))
    return _exceed(texts, ruler, budget)


def cut(prompt: PromptT, ruler: Ruler, budget: int) -> PromptT:
    """Leave out what is further than the budget from both ends.

    Of a conversation these are its oldest turns, and then the middle of the texts that stay.
    """
    return cast(PromptT, prompt.model_copy(update=_cut_fields(prompt, ruler, budget)))


def _cut_fields(prompt: Prompt, ruler: Ruler, budget: int) -> dict[str, object]:
    if isinstance(prompt, ChatPrompt):
        return {"messages": _cut_messages(prompt.messages, ruler, budget)}
    fields = [name for name in _FIELDS if getattr(prompt, name, "")]
    texts = _cut_texts([getattr(prompt, name) for name in fields], ruler, budget)
    return dict(zip(fields, texts, strict=True))


def _exceed(texts: Iterator[str] | Sequence[str], ruler: Ruler, budget: int) -> bool:
    left = budget
    for text in texts:
        left -= ruler.size(text, left)
        if left < 0:
            return True
    return False


def _texts(prompt: Prompt) -> Iterator[str]:
    """Yield the texts that a template cannot leave out."""
    match prompt:
        case TextPrompt():
            yield prompt.text
        case AutoPrompt():
            yield from (prompt.system or "", prompt.text)
        case InfillPrompt():
            yield from (prompt.prefix, prompt.suffix)
        case ChatPrompt():
            for message in reversed(prompt.messages):
                yield from _message(message)
            yield from _tools(prompt)
        case TokenPrompt():
            return


def _message(message: ChatMessage) -> Iterator[str]:
    is_answer = message.role == "assistant"
    yield message.content.rpartition(_END_OF_THINKING)[2] if is_answer else message.content
    yield from _calls(message)


def _calls(message: ChatMessage) -> Iterator[str]:
    for call in message.tool_calls:
        yield call.arguments_text or json.dumps(call.arguments, ensure_ascii=False)


def _tools(prompt: ChatPrompt) -> Iterator[str]:
    for tool in prompt.tools:
        yield json.dumps(tool, ensure_ascii=False)


def _cut_messages(
    messages: Sequence[ChatMessage], ruler: Ruler, budget: int
) -> tuple[ChatMessage, ...]:
    """Drop the turns before the last ones that may fit; system messages and the last one stay.

    So does the end of the turn before them, by which the conversation is still too long: the one
    that encodes it decides how many turns to drop, and leaves room for output.
    """
    oldest, left = len(messages) - 1, budget
    while oldest > 0 and left >= 0:
        oldest -= 1
        left -= sum(ruler.size(text, left) for text in _message(messages[oldest]))
    kept = [m for i, m in enumerate(messages) if i >= oldest + (left < 0) or m.role == "system"]
    if left < 0 and messages[oldest].role != "system":
        place = sum(m.role == "system" for m in messages[:oldest])
        kept.insert(place, _end_of(messages[oldest], ruler, budget))
    fixed = [i for i, m in enumerate(kept) if m.role == "system" or i == len(kept) - 1]
    texts = _cut_texts([kept[i].content for i in fixed], ruler, budget)
    for i, text in zip(fixed, texts, strict=True):
        if text != kept[i].content:
            kept[i] = kept[i].model_copy(update={"content": text})
    return tuple(kept)


def _end_of(turn: ChatMessage, ruler: Ruler, budget: int) -> ChatMessage:
    end = ruler.end(turn.content, budget)
    content = turn.content[len(turn.content) - end :]
    return turn.model_copy(update={"content": content, "tool_calls": ()})


def _cut_texts(texts: Sequence[str], ruler: Ruler, budget: int) -> list[str]:
    """Cut the middle out of a sequence of texts."""
    starts = _reach(texts, budget, ruler, ruler.start)
    ends = reversed(_reach(texts[::-1], budget, ruler, ruler.end))
    return [
        text if start + end >= len(text) else text[:start] + text[len(text) - end :]
        for text, start, end in zip(texts, starts, ends, strict=True)
    ]


def _reach(
    texts: Sequence[str], budget: int, ruler: Ruler, reach: Callable[[str, int], int]
) -> list[int]:
    """Return how many characters of each text are within the budget."""
    found: list[int] = []
    left = budget
    for text in texts:
        found.append(reach(text, left) if left > 0 else 0)
        left = left - ruler.size(text, left) if found[-1] == len(text) else 0
    return found


def too_long(prompt: Prompt, limit: int, tokens: int | None = None) -> str:
    """Return the error in OpenAI's words, in which clients look for the numbers.

    `tokens` is None where they were not counted to the end.
    """
    name = "messages" if isinstance(prompt, ChatPrompt) else "prompt"
    count = f"more than {limit}" if tokens is None else tokens
    return (
        f"This model's maximum context length is {limit + 1} tokens. However, your {name} resulted "
        f"in {count} tokens, and the completion takes at least one. Please reduce the length of "
        f"the {name}."
    )


def input_too_long(limit: int, tokens: int | None = None) -> str:
    """Return the error of an input to embed, as `too_long` does."""
    count = f"more than {limit}" if tokens is None else tokens
    return f"This model's maximum context length is {limit} tokens, and an input has {count}"
