"""The questions of a run: generated ones, or the user's own from a file."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import get_args

import regex

from sizeup_loadtest.ability.grade import THOUSANDS
from sizeup_loadtest.ability.item import AnswerFormat, Item
from sizeup_loadtest.ability.items import ladder
from sizeup_loadtest.config.schema import Ability
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import input_file, prompt_file
from sizeup_loadtest.workload.prompt import ChatMessage

KIND = "questions"
"""Of the questions of a file that says no other."""

DEFAULT_ITEMS = 200
"""Generated questions: a 95 % interval of at most 14 points."""

_CHECKS: Sequence[AnswerFormat] = get_args(AnswerFormat)[:5]
_KEYS = ("question", "expected", "check", "options", "kind", "id", "system")


def questions(config: Ability) -> tuple[Item, ...]:
    """Return as many questions as configured; ConfigError when there are fewer."""
    if config.file is None:
        made = ladder(config.kinds, config.levels, config.seed, config.items or DEFAULT_ITEMS)
    else:
        made = _selected(read(Path(config.file)), config)
    if config.system_prompt is None:
        return made
    return tuple(_with_system(item, config.system_prompt) for item in made)


def _selected(made: Sequence[Item], config: Ability) -> tuple[Item, ...]:
    if config.kinds is not None:
        known = {item.kind for item in made}
        if unknown := sorted(set(config.kinds) - known):
            raise ConfigError(
                f"ability.kinds: {config.file} has no kind {', '.join(unknown)}; "
                f"it has {', '.join(sorted(known))}"
            )
        made = [item for item in made if item.kind in config.kinds]
    if config.items is not None and config.items > len(made):
        raise ConfigError(f"ability.items: {config.items} questions, {config.file} has {len(made)}")
    return tuple(made[: config.items])


def _with_system(item: Item, text: str) -> Item:
    """A system message of the question itself takes precedence."""
    if item.messages[0].role == "system":
        return item
    return replace(item, messages=(ChatMessage("system", text), *item.messages))


def read(path: Path) -> tuple[Item, ...]:
    """Read questions with `question` and `expected`; ConfigError names the line of a fault."""
    made: dict[str, Item] = {}
    for number, (where, entry) in enumerate(input_file.entries(path, "ability.file"), 1):
        item = _item(entry, where, number)
        if item.key in made:
            raise ConfigError(f"{where}: duplicate id {entry.get('id')!r}")
        made[item.key] = item
    return tuple(made.values())


def _item(entry: Mapping[str, object], where: str, number: int) -> Item:
    for key in entry.keys() - _KEYS:
        if close := difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.8):
            raise ConfigError(f"{where}: unknown key {key}; did you mean {close[0]}?")
    options = _options(entry.get("options"), where)
    check, expected = _expected(entry, options, where)
    messages = _messages(entry.get("question"), where)
    if options and not all(option in messages[-1].content for option in options):
        listed = ChatMessage(
            "user", f"{messages[-1].content}\nAnswer with one of: {', '.join(options)}"
        )
        messages = (*messages[:-1], listed)
    if system := _text(entry.get("system"), "system", where):
        messages = (ChatMessage("system", system), *messages)
    return Item(
        kind=_text(entry.get("kind"), "kind", where) or KIND,
        level=1,
        key=f"ability-{_text(entry.get('id'), 'id', where) or number}",
        messages=messages,
        expected=expected,
        check=check,
        options=options,
    )


def _text(value: object, key: str, where: str) -> str:
    """Return a text or number as text; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{where}: {key}: a text is required")
    return str(value).strip()


def _messages(value: object, where: str) -> tuple[ChatMessage, ...]:
    """Accept a text, text parts, or a conversation of OpenAI's or ShareGPT's form."""
    match value:
        case str():
            entry: Mapping[str, object] = {"prompt": value}
        case [{"role": _}, *_]:
            entry = {"messages": value}
        case [{"from": _}, *_]:
            entry = {"conversations": value}
        case _:
            entry = {"messages": [{"role": "user", "content": value}]}
    found = prompt_file.messages(entry, f"{where}: question")
    if found[-1].role != "user":
        raise ConfigError(f"{where}: question: the last message has to be the user's")
    return found


def _options(value: object, where: str) -> tuple[str, ...]:
    """Return the options; in CSV they are separated by `|`."""
    if value is None or value == "":
        return ()
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) < 2:
        raise ConfigError(f"{where}: options: at least two, as a list or separated by |")
    return tuple(_text(part, "options", where) for part in parts)


def _expected(
    entry: Mapping[str, object], options: Sequence[str], where: str
) -> tuple[AnswerFormat, str]:
    value = entry.get("expected")
    if value is None or value == "":
        raise ConfigError(f"{where}: expected: an answer is required")
    check = _check(entry.get("check"), value, options, where)
    match check:
        case "json":
            return check, _json(value, where)
        case "number":
            return check, _number(value, where)
        case "choice" if _text(value, "expected", where) not in options:
            raise ConfigError(f"{where}: expected: {value!r} is not one of the options")
        case "regex":
            return check, _pattern(_text(value, "expected", where), where)
        case _:
            return check, _text(value, "expected", where)


def _check(given: object, expected: object, options: Sequence[str], where: str) -> AnswerFormat:
    """Return the check of an entry, by default from its options and the type of the answer."""
    if given is None or given == "":
        if options:
            return "choice"
        if isinstance(expected, bool | list | dict):
            return "json"
        return "exact" if _decimal(expected) is None else "number"
    found = next((check for check in _CHECKS if check == given), None)
    if found is None:
        raise ConfigError(f"{where}: check: {given!r} is not one of {', '.join(_CHECKS)}")
    return found


def _decimal(value: object) -> Decimal | None:
    """Return a number; texts with a leading zero are codes, not numbers."""
    text = THOUSANDS.sub("", str(value).strip())
    if isinstance(value, bool) or (text.lstrip("-")[:1] == "0" and text.lstrip("-")[1:2].isdigit()):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _number(value: object, where: str) -> str:
    number = _decimal(value)
    if number is None:
        raise ConfigError(f"{where}: expected: {value!r} is not a number")
    return str(number)


def _json(value: object, where: str) -> str:
    """Return a value as JSON; a text is JSON itself, as in CSV."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        return json.dumps(json.loads(value))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: expected: not valid JSON: {error}") from None


def _pattern(text: str, where: str) -> str:
    try:
        regex.compile(text)
    except regex.error as error:
        raise ConfigError(f"{where}: expected: not a regular expression: {error}") from None
    return text
