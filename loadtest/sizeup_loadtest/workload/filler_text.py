"""Sentences for prompts, English and Chinese, drawn from a generator. Pure.

Numbers and names vary enough that two prompts seldom share a beginning: a shared one would be
answered from a server's prefix cache.
"""

from random import Random

_PEOPLE = ("Ann", "Ben", "Cara", "Dan", "Eva", "Finn", "Lena", "Mia", "Omar", "Tom", "Wei", "Zoe")
_THINGS = ("ball", "book", "boat", "cup", "hat", "key", "lamp", "map", "pen", "stone")
_COLOURS = ("black", "blue", "brown", "green", "red", "white", "yellow")
_PLACES = ("Cairo", "Lima", "London", "Oslo", "Paris", "Rome", "Tokyo", "Vienna")
_SUBJECTS = (
    "how bread is baked",
    "how a bicycle keeps its balance",
    "why the sea has tides",
    "how a bill becomes a law",
    "how vaccines work",
    "why leaves change their colour",
    "how a compiler works",
    "how to learn a language",
)
_WORD_LIST = """
after again air all also and answer back before began between boat book both bridge came city
clear cold country day door down early earth end evening every field find fire first from garden
gave glass good green ground half hand heard high hill home house into kept land large last late
leaf letter light line little long made many market moon more morning mountain near never new
night north often old open other over paper past path people place plain quiet rain red river road
room round school sea second ship short side small snow song soon south stone story street summer
sun table then through time told town tree under until voice walk wall warm water west white wide
wind window winter with wood word work world year
"""
_WORDS = _WORD_LIST.split()
_ZH_PEOPLE = ("小明", "小红", "小李", "小王")
_ZH_WORDS = ("山", "水", "火", "木", "风", "雨", "花", "月")


def question(draw: Random) -> str:
    """Return a short question of up to some thirty words; one in five is Chinese."""
    kinds = (_sum, _repeat, _reverse, _who_has, _explain)
    kind = draw.choice((_sum_zh, *kinds[:2]) if draw.random() < 0.2 else kinds)
    return kind(draw) if draw.random() < 0.9 else _repeat_zh(draw)


def task(draw: Random) -> str:
    """Return a question that wants a long answer."""
    subject, person = draw.choice(_SUBJECTS), draw.choice(_PEOPLE)
    return f"Write a letter to {person} that explains {subject}, in about {_hundreds(draw)} words."


def text(draw: Random, words: int) -> str:
    """Return plain text of a number of words, in sentences."""
    said: list[str] = []
    while len(said) < words:
        sentence = draw.choices(_WORDS, k=min(draw.randint(6, 14), words - len(said)))
        sentence[0] = sentence[0].capitalize()
        sentence[-1] += "."
        said += sentence
    return " ".join(said)


def retrieval(draw: Random, words: int) -> str:
    """Return numbered passages of about a number of words in all, and a question about one."""
    number = draw.randint(10_000, 99_999)
    fact = f"The key of {draw.choice(_PEOPLE)} opens locker {number} in {draw.choice(_PLACES)}."
    size = 120  # words; a paragraph, as retrievers cut them
    passages = [text(draw, min(size, words)) for _ in range(max(1, words // size))]
    place = draw.randrange(len(passages))
    passages[place] += " " + fact
    numbered = "\n\n".join(f"[{i}] {passage}" for i, passage in enumerate(passages, 1))
    return (
        f"{numbered}\n\nAnswer from the passages above: which locker is named, and in which city?"
    )


def _sum(draw: Random) -> str:
    return f"What is {draw.randint(10, 9999)} + {draw.randint(10, 9999)}?"


def _sum_zh(draw: Random) -> str:
    return f"{draw.randint(10, 9999)} 加 {draw.randint(10, 9999)} 等于多少？"


def _repeat(draw: Random) -> str:
    return f"Repeat: {' '.join(draw.sample(_WORDS, draw.randint(3, 6)))}"


def _repeat_zh(draw: Random) -> str:
    return f"复述：{draw.choice(_ZH_PEOPLE)}{''.join(draw.sample(_ZH_WORDS, 4))}"


def _reverse(draw: Random) -> str:
    return f"Reverse: {' '.join(draw.sample(_THINGS, draw.randint(3, 6)))}"


def _who_has(draw: Random) -> str:
    people, things = draw.sample(_PEOPLE, 3), draw.sample(_THINGS, 3)
    told = zip(people, things, strict=True)
    facts = " ".join(f"{who} has a {draw.choice(_COLOURS)} {what}." for who, what in told)
    return f"{facts} What does {draw.choice(people)} have?"


def _explain(draw: Random) -> str:
    person, subject = draw.choice(_PEOPLE), draw.choice(_SUBJECTS)
    return f"{person} asks {subject}. Explain it in {draw.randint(2, 9)} sentences."


def _hundreds(draw: Random) -> int:
    return draw.choice((100, 200, 300))
