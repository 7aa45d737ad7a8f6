"""Extraction of facts as JSON; the level sets the number of fields."""

import json
from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import CITIES, COLOURS, NAMES, THINGS

_END = "Write a JSON object with exactly these keys"


def facts_as_json(random: Random, count: int) -> Question:
    """Ask for `count` facts as an object of strings, numbers, booleans and lists."""
    person, age, city = random.choice(NAMES), random.randint(18, 90), random.choice(CITIES)
    colour, things = random.choice(COLOURS), random.sample(THINGS, 3)
    member, height, guests = (
        random.random() < 0.5,
        random.randint(150, 199),
        random.sample(NAMES, 2),
    )
    fields: list[tuple[str, str, object, str]] = [
        ("name", "string", person, f"This is {person}."),
        ("age", "number", age, f"{person} is {age} years old."),
        ("city", "string", city, f"{person} lives in {city}."),
        ("things", "list of strings, in the order told", things, _owns(person, things)),
        ("member", "true or false", member, _joined(person, member)),
        ("height_cm", "number", height, f"{person} is {height} centimetres tall."),
        ("guests", "list of strings, in the order told", guests, _invites(person, guests)),
        ("colour", "string", colour, f"The favourite colour of {person} is {colour}."),
    ]
    chosen = [fields[0], *random.sample(fields[1:], count - 1)]
    story = " ".join(sentence for *_, sentence in chosen)
    keys = ", ".join(f'"{key}" ({form})' for key, form, *_ in chosen)
    expected = json.dumps({key: value for key, _, value, _ in chosen})
    return Question(story, f"{story}\n{_END}: {keys}. Answer with the JSON only.", expected, "json")


def _owns(person: str, things: list[str]) -> str:
    return f"{person} owns a {things[0]}, a {things[1]} and a {things[2]}."


def _joined(person: str, member: bool) -> str:
    return f"{person} is {'' if member else 'not '}a member of the club."


def _invites(person: str, guests: list[str]) -> str:
    return f"{person} invites {guests[0]} and {guests[1]}."
