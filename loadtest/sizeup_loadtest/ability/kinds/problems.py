"""Word problems; the level sets the number of steps, each of which changes one number."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import NAMES, NAMES_ZH

_END = "Think step by step, then end with a line of the form 'Answer: <number>'."
_END_ZH = "请一步一步思考，最后一行写“答案：<数字>”。"
MOST = 5_000
"""Above it nothing is multiplied: difficulty should come from steps, not from digits."""


def word_problem(random: Random, steps: int) -> Question:
    """Track the number of marbles of a person."""
    name, amount = random.choice(NAMES), random.randint(12, 60)
    sentences = [f"{name} has {amount} marbles."]
    for _ in range(steps):
        step, amount = _step(random, amount)
        sentences.append(_english(*step, name))
    story = " ".join(sentences)
    return Question(
        story, f"{story} How many marbles does {name} have now? {_END}", str(amount), "number"
    )


def word_problem_zh(random: Random, steps: int) -> Question:
    """Track the number of apples of a person, in Chinese."""
    name, amount = random.choice(NAMES_ZH), random.randint(12, 60)
    sentences = [f"{name}有{amount}个苹果。"]
    for _ in range(steps):
        step, amount = _step(random, amount)
        sentences.append(_chinese(*step, name))
    story = "".join(sentences)
    return Question(story, f"{story}{name}现在有多少个苹果？{_END_ZH}", str(amount), "number")


def _step(random: Random, amount: int) -> tuple[tuple[str, int], int]:
    """Return a random step as verb and number, and the positive integer that results."""
    other = random.randint(3, 49)
    ways = {"gets": amount + other}
    if amount > other:
        ways["gives"] = amount - other
    if amount % 2 == 0 and amount > 2:
        ways["halves"] = amount // 2
    if amount < MOST:
        ways |= {"doubles": amount * 2, "packs": amount + other * 6}
    verb = random.choice(sorted(ways))
    return (verb, other), ways[verb]


def _english(verb: str, other: int, name: str) -> str:
    return {
        "gets": f"A friend gives {name} {other} more.",
        "gives": f"{name} gives {other} away.",
        "halves": f"{name} loses half of them.",
        "doubles": f"{name} wins as many as there are already.",
        "packs": f"{name} buys {other} bags of 6 marbles each.",
    }[verb]


def _chinese(verb: str, other: int, name: str) -> str:
    return {
        "gets": f"朋友又给了{name}{other}个。",
        "gives": f"{name}送出去{other}个。",
        "halves": f"{name}吃掉了其中的一半。",
        "doubles": f"{name}又得到了和现有数量一样多的苹果。",
        "packs": f"{name}买了{other}袋苹果，每袋6个。",
    }[verb]
