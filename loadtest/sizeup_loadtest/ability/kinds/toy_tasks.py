"""The tasks on which the toy models are trained, in the same wording."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import (
    CHARACTERS_ZH,
    COLOURS,
    COLOURS_ZH,
    NAMES,
    NAMES_ZH,
    THINGS,
    THINGS_ZH,
    WORDS,
)

Facts = list[tuple[str, str, str]]
"""Name, colour and thing."""


def addition(random: Random, digits: int) -> Question:
    a, b = number_pair(random, digits)
    return Question(f"{min(a, b)}+{max(a, b)}", f"What is {a} + {b}?", str(a + b), "number")


def addition_zh(random: Random, digits: int) -> Question:
    a, b = number_pair(random, digits)
    return Question(f"{min(a, b)}+{max(a, b)}", f"{a} 加 {b} 等于多少？", str(a + b), "number")


def number_pair(random: Random, digits: int) -> tuple[int, int]:
    low = 0 if digits == 1 else 10 ** (digits - 1)
    return random.randrange(low, 10**digits), random.randrange(low, 10**digits)


def reversing(random: Random, length: int) -> Question:
    words = random.choices(WORDS, k=length)
    text = " ".join(words)
    return Question(text, f"Reverse the words: {text}", " ".join(reversed(words)), "words")


def copying(random: Random, length: int) -> Question:
    text = " ".join(random.choices(WORDS, k=length))
    return Question(text, f"Copy these words: {text}", text, "words")


def copying_zh(random: Random, length: int) -> Question:
    text = "".join(random.choices(CHARACTERS_ZH, k=length))
    return Question(text, f"请重复：{text}", text, "letters")


def counting(random: Random, length: int) -> Question:
    """Count the occurrences of a word in a list."""
    few = random.sample(WORDS, 4)
    times = random.randint(0, length)
    entries = [few[0]] * times + random.choices(few[1:], k=length - times)
    random.shuffle(entries)
    text = " ".join(entries)
    question = f"In the list {text}. How many times is {few[0]}?"
    return Question(f"{few[0]}:{text}", question, str(times), "number")


def sequence(random: Random, most: int) -> Question:
    """Count upwards; the sequence has three quarters of `most` to `most` numbers."""
    first = random.randint(0, 60)
    last = first + random.randint(-(-most * 3 // 4), most) - 1
    numbers = " ".join(str(number) for number in range(first, last + 1))
    return Question(f"{first}-{last}", f"Count from {first} to {last}.", numbers, "numbers")


def facts(random: Random, count: int) -> Question:
    """Ask for the thing of a person, the owner of a thing, or its colour."""
    stated = _stated(random, count, NAMES, COLOURS, THINGS)
    name, colour, thing = random.choice(stated)
    question, expected, options = random.choice(
        (
            (f"What does {name} have?", f"{colour} {thing}", [f"{c} {t}" for _, c, t in stated]),
            (f"Who has the {thing}?", name, [n for n, _, _ in stated]),
            (f"What colour is the {thing}?", colour, [c for _, c, _ in stated]),
        )
    )
    text = " ".join(f"{n} has a {c} {t}." for n, c, t in stated) + " " + question
    return Question(text, text, expected, "choice", tuple(options))


def facts_zh(random: Random, count: int) -> Question:
    """Ask in Chinese for the thing of a person, or the owner of a thing."""
    stated = _stated(random, count, NAMES_ZH, COLOURS_ZH, THINGS_ZH)
    name, colour, thing = random.choice(stated)
    question, expected, options = random.choice(
        (
            (f"{name}有什么？", f"{colour}{thing}", [f"{c}{t}" for _, c, t in stated]),
            (f"谁有{thing}？", name, [n for n, _, _ in stated]),
        )
    )
    story = "，".join(f"{n}有{c}{t}" for n, c, t in stated)
    return Question(story + question, f"{story}。{question}", expected, "choice", tuple(options))


def _stated(
    random: Random,
    count: int,
    names: tuple[str, ...],
    colours: tuple[str, ...],
    things: tuple[str, ...],
) -> Facts:
    owners, owned = random.sample(names, count), random.sample(things, count)
    return list(zip(owners, random.choices(colours, k=count), owned, strict=True))
