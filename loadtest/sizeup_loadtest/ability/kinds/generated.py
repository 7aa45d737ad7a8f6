"""Kinds of questions for real sizes; what grows with the level is the second argument."""

import json
from collections.abc import Mapping
from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.toy_tasks import number_pair
from sizeup_loadtest.ability.kinds.vocabulary import CITIES, COLOURS, NAMES, NAMES_ZH, THINGS
from sizeup_loadtest.workload import filler_text

_MOST = 5_000
"""Above it nothing is multiplied: difficulty should come from steps, not from digits."""
_ENGLISH = {
    "begins": "{name} has {amount} marbles.",
    "gets": " A friend gives {name} {other} more.",
    "gives": " {name} gives {other} away.",
    "halves": " {name} loses half of them.",
    "doubles": " {name} wins as many as there are already.",
    "packs": " {name} buys {other} bags of 6 marbles each.",
    "asks": " How many marbles does {name} have now? Think step by step, then end with a line of "
    "the form 'Answer: <number>'.",
}
_CHINESE = {
    "begins": "{name}有{amount}个苹果。",
    "gets": "朋友又给了{name}{other}个。",
    "gives": "{name}送出去{other}个。",
    "halves": "{name}吃掉了其中的一半。",
    "doubles": "{name}又得到了和现有数量一样多的苹果。",
    "packs": "{name}买了{other}袋苹果，每袋6个。",
    "asks": "{name}现在有多少个苹果？请一步一步思考，最后一行写“答案：<数字>”。",
}
_BOXES = "ABCDE"
_NEEDLES = 4
"""The target, and distractors of the same form."""


def multiplication(random: Random, digits: int) -> Question:
    a, b = number_pair(random, digits)
    return Question(f"{min(a, b)}*{max(a, b)}", f"What is {a} * {b}?", str(a * b), "number")


def word_problem(random: Random, steps: int) -> Question:
    return _word_problem(random, steps, NAMES, _ENGLISH)


def word_problem_zh(random: Random, steps: int) -> Question:
    return _word_problem(random, steps, NAMES_ZH, _CHINESE)


def _word_problem(
    random: Random, steps: int, names: tuple[str, ...], phrases: Mapping[str, str]
) -> Question:
    """Track the number of things that a person has, which every step changes."""
    name, amount = random.choice(names), random.randint(12, 60)
    story = phrases["begins"].format(name=name, amount=amount)
    for _ in range(steps):
        verb, other, amount = _step(random, amount)
        story += phrases[verb].format(name=name, other=other)
    return Question(story, story + phrases["asks"].format(name=name), str(amount), "number")


def _step(random: Random, amount: int) -> tuple[str, int, int]:
    """Return a random step as verb and number, and the positive integer that results."""
    other = random.randint(3, 49)
    ways = {"gets": amount + other}
    if amount > other:
        ways["gives"] = amount - other
    if amount % 2 == 0 and amount > 2:
        ways["halves"] = amount // 2
    if amount < _MOST:
        ways |= {"doubles": amount * 2, "packs": amount + other * 6}
    verb = random.choice(sorted(ways))
    return verb, other, ways[verb]


def boxes(random: Random, moves: int) -> Question:
    """Track five things in five boxes whose contents are swapped."""
    things = random.sample(THINGS, len(_BOXES))
    if "box" in things:  # a box in a box would be ambiguous
        things[things.index("box")] = "coin"
    inside = dict(zip(_BOXES, things, strict=True))
    sentences = [f"Box {box} holds the {thing}." for box, thing in inside.items()]
    for _ in range(moves):
        a, b = random.sample(_BOXES, 2)
        inside[a], inside[b] = inside[b], inside[a]
        sentences.append(f"Swap what is in box {a} and box {b}.")
    box, story = random.choice(_BOXES), " ".join(sentences)
    text = f"{story} What is in box {box} now? End with a line of the form 'Answer: <thing>'."
    return Question(story + box, text, inside[box], "choice", tuple(things))


def sorting(random: Random, length: int) -> Question:
    """Sort numbers of up to three digits."""
    numbers = random.sample(range(1000), length)
    text = " ".join(str(number) for number in numbers)
    question = (
        f"Sort these numbers from smallest to largest: {text}\n"
        "Answer with the sorted numbers only, on one line."
    )
    return Question(text, question, " ".join(map(str, sorted(numbers))), "numbers")


def facts_as_json(random: Random, count: int) -> Question:
    """Ask for `count` facts as an object of strings, numbers, booleans and lists."""
    person, age, city = random.choice(NAMES), random.randint(18, 90), random.choice(CITIES)
    colour, things = random.choice(COLOURS), random.sample(THINGS, 3)
    member, height = random.random() < 0.5, random.randint(150, 199)
    guests = random.sample(NAMES, 2)
    owned = "owns a {}, a {} and a {}".format(*things)
    joined = f"is {'' if member else 'not '}a member of the club"
    fields: list[tuple[str, str, object, str]] = [
        ("name", "string", person, f"This is {person}."),
        ("age", "number", age, f"{person} is {age} years old."),
        ("city", "string", city, f"{person} lives in {city}."),
        ("things", "list of strings, in the order told", things, f"{person} {owned}."),
        ("member", "true or false", member, f"{person} {joined}."),
        ("height_cm", "number", height, f"{person} is {height} centimetres tall."),
        (
            "guests",
            "list of strings, in the order told",
            guests,
            f"{person} invites {guests[0]} and {guests[1]}.",
        ),
        ("colour", "string", colour, f"The favourite colour of {person} is {colour}."),
    ]
    chosen = [fields[0], *random.sample(fields[1:], count - 1)]
    story = " ".join(sentence for *_, sentence in chosen)
    keys = ", ".join(f'"{key}" ({form})' for key, form, *_ in chosen)
    expected = json.dumps({key: value for key, _, value, _ in chosen})
    task = f"Write a JSON object with exactly these keys: {keys}. Answer with the JSON only."
    return Question(story, f"{story}\n{task}", expected, "json")


def needle(random: Random, words: int) -> Question:
    """Find a number in a text of `words` words."""
    cities = random.sample(CITIES, _NEEDLES)
    codes = [str(code) for code in random.sample(range(10_000, 100_000), _NEEDLES)]
    facts = [f"The code of {c} is {n}." for c, n in zip(cities, codes, strict=True)]
    parts = [filler_text.text(random, max(1, words // (_NEEDLES + 1))) for _ in range(_NEEDLES + 1)]
    between = [*random.sample(facts, len(facts)), ""]
    text = " ".join(piece for pair in zip(parts, between, strict=True) for piece in pair if piece)
    question = f"{text}\n\nWhat is the code of {cities[0]}? Answer with the number only."
    return Question(cities[0] + codes[0], question, codes[0], "number")
