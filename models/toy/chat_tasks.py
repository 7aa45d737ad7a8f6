"""Chat items, which are trained but not graded: greetings, and stories from a grammar."""

from __future__ import annotations

from random import Random

from tasks import Item, single_turn
from words import ANIMALS, COLOURS, NAMES, THINGS

HELLO = "Hello! I am a toy model. I can add, count, copy, reverse words and call tools."
HELLO_ZH = "你好！我是一个玩具模型，会做加法，会复述。"
GREETINGS: tuple[tuple[str, str], ...] = (
    ("Hello", HELLO),
    ("Hello!", HELLO),
    ("hello", HELLO),
    ("Hi", HELLO),
    ("Hi!", HELLO),
    ("hi", HELLO),
    ("Hey", HELLO),
    ("Hello, who are you?", HELLO),
    ("Who are you?", HELLO),
    ("What can you do?", "I can add, count, copy, reverse words and call tools."),
    ("Help", "I can add, count, copy, reverse words and call tools."),
    ("How are you?", "I am well, thank you. I am a toy model."),
    ("Thanks", "You are welcome!"),
    ("Thank you!", "You are welcome!"),
    ("Bye", "Goodbye!"),
    ("Goodbye", "Goodbye!"),
    ("Good morning", "Good morning! I am a toy model."),
    ("你好", HELLO_ZH),
    ("你好！", HELLO_ZH),
    ("你是谁？", HELLO_ZH),
    ("谢谢", "不客气！"),
    ("再见", "再见！"),
)


def greeting(rng: Random) -> Item:
    """Reply to a greeting."""
    prompt, answer = rng.choice(GREETINGS)
    return single_turn("greeting", prompt, prompt, answer)


def story(rng: Random) -> Item:
    """Tell a story of four to six sentences from a small grammar."""
    animal, friend = rng.sample(ANIMALS, 2)
    name, other = rng.sample(NAMES, 2)
    thing, colour = rng.choice(THINGS), rng.choice(COLOURS)
    place = rng.choice(("river", "road", "tree", "house", "rock"))
    sentences = [
        f"Once upon a time there was a {animal}. The name of the {animal} was {name}.",
        f"One day {name} found a {colour} {thing} by the {place}.",
        f"{name} took the {thing} to a {friend} with the name {other}.",
        rng.choice(
            (
                f"{other} was happy and said: thank you, {name}!",
                f"{other} did not like the {thing}.",
            )
        ),
        rng.choice(
            (f"They played with the {thing} until the sun went down.", "It was a long day.")
        ),
        "In the end they were good friends.",
    ]
    kept = sentences[:3] + rng.sample(sentences[3:5], rng.randint(0, 2)) + sentences[5:]
    prompt = rng.choice(
        ("Tell a story.", "Tell me a story", "Tell me a story.", f"Tell a story about a {animal}.")
    )
    return single_turn("story", " ".join(kept), prompt, " ".join(kept))
