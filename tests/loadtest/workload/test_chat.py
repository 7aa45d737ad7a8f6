from collections import Counter
from random import Random
from statistics import mean

from sizeup_loadtest.config.schema import Prompts
from sizeup_loadtest.workload import chat, prompts

PREFIX = 40
"""Characters: about 10 tokens of English, fewer than the 16 of the smallest cached block."""


def test_there_are_several_dozen_questions_in_both_languages() -> None:
    languages = Counter(topic.language for topic in chat.topics())
    assert languages["en"] > 2 * languages["zh"] - 2 > 0
    assert sum(len(set(topic.questions)) for topic in chat.topics()) >= 60


def test_no_prompt_begins_as_another() -> None:
    """Otherwise a prefix cache would serve the beginning."""
    source = prompts.source(Prompts(set="chat"))
    made = [source(index, None).messages[0].content for index in range(500)]
    assert len({text[:PREFIX] for text in made}) == len(made)
    assert made == [source(index, None).messages[0].content for index in range(500)]


def test_prompts_have_about_200_tokens() -> None:
    """English has about 1.3 tokens a word, Chinese about 0.7 a character."""
    made = [chat.question(Random(seed)) for seed in range(500)]
    chinese = [text for text in made if not text.isascii()]
    english = [text for text in made if text.isascii()]
    assert 150 < mean(len(text.split()) * 1.3 for text in english) < 250
    assert 150 < mean(len(text) * 0.7 for text in chinese) < 250
    assert 0.2 < len(chinese) / len(made) < 0.5
