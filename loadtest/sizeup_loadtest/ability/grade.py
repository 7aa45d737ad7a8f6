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
from sizeup_loadtest.ability.kinds.rules import follows

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    r"(?:answer|答案|回答)\s*(?:is|是|为)?\s*[:=]|\banswer\s+is\s+(?!not\b)"
    r"|答案\s*[是为](?!什么|不)|回答\s*[是为]\s*(?=-?\d)",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(r"[*`_]{1,3}(?=\S)|(?<=\S)[*`_]{1,3}|\\boxed\{|[{}$]")
_NUMBERING = re.compile(r"^\s*(?:\d+[.)、]|[-•])\s+", re.MULTILINE)
THOUSANDS = re.compile(r"(?<=\d)[,_'\u2009 ](?=\d{3}(?!\d))")
# Chinese has no spaces: a number may follow a Chinese character, but no Latin letter.
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])(-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}\b)?)([万亿]?)"
)
_TIMES = {"": 1, "万": 10**4, "亿": 10**8}
_WITH_UNIT = re.compile(
    r"(-?(?:\d+(?:\.\d+)?|\.\d+))\s*(?:/\s*(\d+)|(%|percent|thousand|million|billion))"
)
_UNITS = {
    **dict.fromkeys(("%", "percent"), Decimal("0.01")),
    "thousand": Decimal(10**3),
    "million": Decimal(10**6),
    "billion": Decimal(10**9),
}
_NUMERAL = re.compile(r"[零一二两三四五六七八九十百千万亿]+")
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
    parts = [_last_line(text) if tagged is None else tagged, text]
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
    text = THOUSANDS.sub("", text)
    tagged = _tagged(text)
    if tagged is None:
        numbers = _with_unit(text) or _numbers(text)[-1:]
    else:
        line = tagged.partition("\n")[0]
        numbers = _with_unit(line) or (_numbers(_result(line)) or _numbers(line))[:1]
    return Grade(Decimal(expected) in numbers, parsed=True) if numbers else UNPARSED


def _with_unit(text: str) -> list[Decimal]:
    """Return the values of a whole answer: of a fraction, or of "50 %", which is 50 and 0.5."""
    bare = text.lstrip(_QUOTES.replace(".", "")).rstrip(_QUOTES)
    whole = _WITH_UNIT.fullmatch(bare.lower())
    if whole is None:
        return []
    number, divisor, unit = whole.groups()
    if unit:
        return [Decimal(number), Decimal(number) * _UNITS[unit]]
    below = Decimal(divisor)
    return [Decimal(number) / below] if below else []


def _result(line: str) -> str:
    """Return the text after an equation: "25 marbles" of "12 + 13 = 25 marbles"."""
    rest = line.rpartition("=")[2]
    before, equals, after = rest.partition("等于")
    while equals and _SUM.search(before):
        rest = after
        before, equals, after = rest.partition("等于")
    return rest


def _numbers(text: str) -> list[Decimal]:
    found = [Decimal(number) * _TIMES[unit] for number, unit in _NUMBER.findall(text)]
    if found or not _NUMERAL.fullmatch(bare := text.strip(_QUOTES)):
        return found
    return [Decimal(_of_numeral(bare))]


def _of_numeral(text: str) -> int:
    """Return the value of a Chinese numeral: 42 of 四十二."""
    total = section = digit = 0
    for value in (
        2 if character == "两" else int(unicodedata.numeric(character)) for character in text
    ):
        if value < 10:
            digit = value
        elif value < 10**4:
            section, digit = section + (digit or 1) * value, 0
        else:
            whole = value == 10**8  # 亿 multiplies all before it, 万 what follows the last 亿
            total = (
                (total + section + digit) * value if whole else total + (section + digit) * value
            )
            section = digit = 0
    return total + section + digit


def _choice(item: Item, text: str) -> Grade:
    """The answer begins with the expected option, as "B) ...", or names no other one.

    Without a tag it is the last line, else the whole text.
    """
    tagged = _tagged(text)
    for part in [tagged] if tagged is not None else [_last_line(text), text]:
        begins = {option for option in item.options if _begins(part, option, tagged is not None)}
        named = begins or {
            option for option in item.options if re.search(_word(option), part, _case(option))
        }
        if named:
            return Grade(named == {item.expected}, parsed=True)
    return UNPARSED


def _begins(text: str, option: str, tagged: bool) -> bool:
    start = r"[\s(\"']*"
    ends = rf"{start}{re.escape(option)}\s*(?:[).:,;\n]|\Z)"
    if re.match(ends, text, re.IGNORECASE):
        return True
    return tagged and re.match(start + _word(option), text, _case(option)) is not None


def _word(option: str) -> str:
    """Chinese has no spaces: only Latin letters around an option make it a part of a word."""
    word = re.escape(option)
    return rf"(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])" if option.isascii() else word


def _case(option: str) -> re.RegexFlag:
    """In a text, "a" is an article and not the option A."""
    return re.NOFLAG if len(option) == 1 else re.IGNORECASE


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
    """The last JSON value of the text of the type that is expected must be equal."""
    if isinstance(expected, dict | list):
        opening = "{" if isinstance(expected, dict) else "["
        fenced = [block for block in _FENCE.findall(text) if block.lstrip().startswith(opening)]
        found = [value for part in fenced or [text] for value in _values(part, opening)]
    else:
        found = [*_values(_tagged(text) or _last_line(_unwrapped(text)))]
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


def _values(text: str, opening: str = "") -> Iterator[Any]:
    """Yield the JSON values that begin with a bracket, or the one that is the whole text."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find(opening, at)) >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at
        else:
            if opening or not text[end:].strip():
                yield value
        if not opening:
            return
        at = max(end, at + 1)
