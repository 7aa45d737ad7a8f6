"""Operations on lists and strings; the level sets their length."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import CHARACTERS_ZH, WORDS


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


def sorting(random: Random, length: int) -> Question:
    """Sort numbers of up to three digits."""
    numbers = random.sample(range(1000), length)
    text = " ".join(str(number) for number in numbers)
    question = (
        f"Sort these numbers from smallest to largest: {text}\n"
        "Answer with the sorted numbers only, on one line."
    )
    return Question(text, question, " ".join(map(str, sorted(numbers))), "numbers")
