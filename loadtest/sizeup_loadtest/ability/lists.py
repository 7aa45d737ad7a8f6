"""Work on lists and rows of characters, by their length."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import CHARACTERS_ZH, WORDS


def reversing(draw: Random, length: int) -> Question:
    """Give words in reverse order."""
    words = draw.choices(WORDS, k=length)
    text = " ".join(words)
    return Question(text, f"Reverse the words: {text}", " ".join(reversed(words)), "words")


def copying(draw: Random, length: int) -> Question:
    """Repeat words."""
    text = " ".join(draw.choices(WORDS, k=length))
    return Question(text, f"Copy these words: {text}", text, "words")


def copying_zh(draw: Random, length: int) -> Question:
    """Repeat Chinese characters."""
    text = "".join(draw.choices(CHARACTERS_ZH, k=length))
    return Question(text, f"请重复：{text}", text, "letters")


def counting(draw: Random, length: int) -> Question:
    """Count how often a word is in a list."""
    few = draw.sample(WORDS, 4)
    times = draw.randint(0, length)
    entries = [few[0]] * times + draw.choices(few[1:], k=length - times)
    draw.shuffle(entries)
    text = " ".join(entries)
    question = f"In the list {text}. How many times is {few[0]}?"
    return Question(f"{few[0]}:{text}", question, str(times), "number")


def sequence(draw: Random, most: int) -> Question:
    """Count upwards over three quarters of `most` to `most` numbers."""
    first = draw.randint(0, 60)
    last = first + draw.randint(-(-most * 3 // 4), most) - 1
    numbers = " ".join(str(number) for number in range(first, last + 1))
    return Question(f"{first}-{last}", f"Count from {first} to {last}.", numbers, "numbers")


def sorting(draw: Random, length: int) -> Question:
    """Sort numbers of up to three digits."""
    numbers = draw.sample(range(1000), length)
    text = " ".join(str(number) for number in numbers)
    question = (
        f"Sort these numbers from smallest to largest: {text}\n"
        "Answer with the sorted numbers only, on one line."
    )
    return Question(text, question, " ".join(map(str, sorted(numbers))), "numbers")


def position(draw: Random, length: int) -> Question:
    """Find the word at a place in a list of different words."""
    words = draw.sample(WORDS, length)
    place, text = draw.randrange(length), " ".join(words)
    question = f"Word number {place + 1} in this list is which word? {text}\nAnswer with it only."
    return Question(f"{place}:{text}", question, words[place], "choice", tuple(words))


def spelling(draw: Random, length: int) -> Question:
    """Write a row of letters backwards."""
    row = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=length))
    question = f"Write these letters in reverse order: {row}\nAnswer with the letters only."
    return Question(row, question, row[::-1], "letters")
