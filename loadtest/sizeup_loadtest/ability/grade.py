"""Grades an output: strict about the answer, lenient about its presentation. Pure.

Ignored are thinking, text before the last "Answer:", Markdown, full-width forms, thousands
separators and list numbering. An output without an answer of the expected format is unparsed, and
wrong.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import regex

from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.rules import follows

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    r"(?:final\s+answer|answer|答案|回答)\s*(?:is|是|为)?\s*[:=]|(?:答案|回答)\s*[是为]\s*(?=-?\d)",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(r"[*`_]{1,3}(?=\S)|(?<=\S)[*`_]{1,3}|\\boxed\{|[{}$]")
_NUMBERING = re.compile(r"^\s*(?:\d+[.)、]|[-•])\s+", re.MULTILINE)
_THOUSANDS = re.compile(r"(?<=\d)[,_'\u2009 ](?=\d{3}(?!\d))")
# Chinese has no spaces: a number may follow a Chinese character, but no Latin letter.
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])-?\d+(?:\.\d+)?")
# An expression before "等于": "3乘4等于12" ends with the result, "12等于3乘4" begins with it.
_SUM = re.compile(r"\d.*?(?:[-+*/×÷加减乘除倍]|的[和差积商])")
_QUOTES = " \t\"'`*_.!“”‘’「」。！"
_FENCE = re.compile(r"```(?:[\w-]*\n|(?i:json)(?=\s*\{))?(.*?)(?:```|\Z)", re.DOTALL)


REGEX_SECONDS = 0.1
"""Of one search. An ordinary one takes microseconds; nested repetitions can take forever."""


@dataclass(frozen=True, slots=True)
class Grade:
    correct: bool
    parsed: bool
    """Whether an answer of the expected format was found."""


UNPARSED = Grade(correct=False, parsed=False)


def grade(item: Item, text: str) -> Grade:
    answer = _THOUGHT.sub("", text).strip()
    if not answer:
        return UNPARSED
    match item.check:
        case "rules":
            return Grade(follows(_unwrapped(answer), json.loads(item.expected)), parsed=True)
        case "exact":
            return Grade(_is_exactly(item.expected, answer), parsed=True)
        case "regex":
            return _regex(item.expected, answer)
        case "json":
            return _json(json.loads(item.expected), answer)
        case "number":
            return _number(item.expected, _plain(answer))
        case "choice":
            return _choice(item, _plain(answer))
        case "numbers" | "words" | "letters" as check:
            return _row(check, item.expected, _plain(answer))


def _is_exactly(expected: str, text: str) -> bool:
    """Whether the text, its last line or what follows its last tag is the expected text."""
    tagged = _tagged(unicodedata.normalize("NFKC", text))
    parts = [_last_line(text), text] if tagged is None else [tagged]
    return _bare(expected) in map(_bare, parts)


def _bare(text: str) -> str:
    """Ignore case, width, spacing, and quotation marks and full stops around the text."""
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return words.strip(_QUOTES) or words


def _regex(pattern: str, text: str) -> Grade:
    try:
        # concurrent: other threads go on, among them the one that reads responses.
        found = regex.search(pattern, text, timeout=REGEX_SECONDS, concurrent=True)
    except TimeoutError:
        return UNPARSED
    return Grade(found is not None, parsed=True)


def _plain(text: str) -> str:
    """Normalize full-width forms, minus signs and Markdown."""
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-")
    return _MARKDOWN.sub("", text)


def _tagged(text: str) -> str | None:
    """Return the text after the last tag; None without one."""
    tags = list(_TAG.finditer(text))
    return text[tags[-1].end() :].strip() if tags else None


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2].strip()


def _number(expected: str, text: str) -> Grade:
    text = _THOUSANDS.sub("", text)
    tagged = _tagged(text)
    if tagged is not None:
        line = tagged.partition("\n")[0]
        numbers = _numbers(_result(line)) or _numbers(line)
    else:
        numbers = _numbers(text)
    if not numbers:
        return UNPARSED
    return Grade(numbers[0 if tagged is not None else -1] == Decimal(expected), parsed=True)


def _result(line: str) -> str:
    """Return the text after an equation: "25 marbles" of "12 + 13 = 25 marbles"."""
    rest = line.rpartition("=")[2]
    before, equals, after = rest.partition("等于")
    while equals and _SUM.search(before):
        rest = after
        before, equals, after = rest.partition("等于")
    return rest


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(found) for found in _NUMBER.findall(text)]


def _choice(item: Item, text: str) -> Grade:
    """Exactly the expected option must be named; in a longer text, by its last line."""
    tagged = _tagged(text)
    for part in [tagged] if tagged is not None else [_last_line(text), text]:
        named = {option for option in item.options if _names(part, option)}
        if named:
            return Grade(named == {item.expected}, parsed=True)
    return UNPARSED


def _names(text: str, option: str) -> bool:
    if not option.isascii():
        return option in text
    return re.search(rf"\b{re.escape(option)}\b", text, re.IGNORECASE) is not None


def _row(check: str, expected: str, text: str) -> Grade:
    """The list must be exact, at one of the positions of an answer."""
    wanted = _entries(check, expected)
    found = [_entries(check, part) for part in _candidates(text)]
    return Grade(wanted in found, parsed=any(found))


def _candidates(text: str) -> Iterator[str]:
    """Yield candidate answers: after a tag, else all text, the last line, after a colon."""
    tagged = _tagged(text)
    whole = text if tagged is None else tagged
    for part in (whole, _last_line(whole), whole.rpartition(":")[2]):
        yield part
        yield _NUMBERING.sub("", part)


def _entries(check: str, text: str) -> Sequence[object]:
    if check == "numbers":
        return _numbers(text)
    words = re.findall(r"[^\W_]+", text.casefold())
    return "".join(words) if check == "letters" else words


def _unwrapped(text: str) -> str:
    fenced = _FENCE.search(text)
    text = (fenced[1] if fenced else text).strip()
    return (
        text[1:-1].strip() if len(text) > 1 and text[0] + text[-1] in ('""', "“”", "**") else text
    )


def _json(expected: Any, text: str) -> Grade:
    """The last JSON value of the text that is an object or a list, as expected, must be equal."""
    found = [value for value in map(_parsed, _candidate_values(text, expected)) if value != ""]
    if not found:
        return UNPARSED
    return Grade(_equal(found[-1], expected), parsed=True)


def _equal(a: object, b: object) -> bool:
    """Compare as JSON: 1 is 1.0, but not true, which Python's == takes for 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _parsed(text: str) -> Any:
    """Return the JSON value; an empty string where there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return ""


def _candidate_values(text: str, expected: object) -> Iterator[str]:
    """Yield fenced blocks, else from the first to the last bracket; for a scalar the last line."""
    first, last = "{}" if isinstance(expected, dict) else "[]"
    if not isinstance(expected, dict | list):
        yield _tagged(text) or _last_line(_unwrapped(text))
        return
    yield from (block for block in _FENCE.findall(text) if block.lstrip().startswith(first))
    if "```" not in text and first in text:
        yield text[text.index(first) : text.rfind(last) + 1]
