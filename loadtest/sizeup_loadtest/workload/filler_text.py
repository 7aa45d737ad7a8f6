"""Random sentences for prompts, English and Chinese. Pure.

Numbers and names vary enough that two prompts seldom share a prefix, which would hit the
server's prefix cache.
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


def question(random: Random) -> str:
    """Return a question of up to about thirty words; one in five is Chinese."""
    kinds = (_sum, _repeat, _reverse, _who_has, _explain)
    kind = random.choice((_sum_zh, *kinds[:2]) if random.random() < 0.2 else kinds)
    return kind(random) if random.random() < 0.9 else _repeat_zh(random)


def task(random: Random) -> str:
    """Return a request for a long text."""
    subject, person = random.choice(_SUBJECTS), random.choice(_PEOPLE)
    words = random.choice((100, 200, 300))
    return f"Write a letter to {person} that explains {subject}, in about {words} words."


def text(random: Random, words: int) -> str:
    """Return sentences with `words` words in total."""
    result: list[str] = []
    while len(result) < words:
        sentence = random.choices(_WORDS, k=min(random.randint(6, 14), words - len(result)))
        sentence[0] = sentence[0].capitalize()
        sentence[-1] += "."
        result += sentence
    return " ".join(result)


def retrieval(random: Random, words: int) -> str:
    """Return numbered passages of about `words` words in total, and a question about one."""
    number = random.randint(10_000, 99_999)
    fact = f"The key of {random.choice(_PEOPLE)} opens locker {number} in {random.choice(_PLACES)}."
    size = 120  # words; a typical chunk of a retriever
    passages = [text(random, min(size, words)) for _ in range(max(1, words // size))]
    place = random.randrange(len(passages))
    passages[place] += " " + fact
    numbered = "\n\n".join(f"[{i}] {passage}" for i, passage in enumerate(passages, 1))
    return (
        f"{numbered}\n\nAnswer from the passages above: which locker is named, and in which city?"
    )


def _sum(random: Random) -> str:
    return f"What is {random.randint(10, 9999)} + {random.randint(10, 9999)}?"


def _sum_zh(random: Random) -> str:
    return f"{random.randint(10, 9999)} 加 {random.randint(10, 9999)} 等于多少？"


def _repeat(random: Random) -> str:
    return f"Repeat: {' '.join(random.sample(_WORDS, random.randint(3, 6)))}"


def _repeat_zh(random: Random) -> str:
    return f"复述：{random.choice(_ZH_PEOPLE)}{''.join(random.sample(_ZH_WORDS, 4))}"


def _reverse(random: Random) -> str:
    return f"Reverse: {' '.join(random.sample(_THINGS, random.randint(3, 6)))}"


def _who_has(random: Random) -> str:
    people, things = random.sample(_PEOPLE, 3), random.sample(_THINGS, 3)
    owners = zip(people, things, strict=True)
    facts = " ".join(f"{name} has a {random.choice(_COLOURS)} {thing}." for name, thing in owners)
    return f"{facts} What does {random.choice(people)} have?"


def _explain(random: Random) -> str:
    person, subject = random.choice(_PEOPLE), random.choice(_SUBJECTS)
    return f"{person} asks {subject}. Explain it in {random.randint(2, 9)} sentences."
