"""What people ask an assistant: a text of theirs and a question about it. Pure."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict

_NAMES = {
    "en": ("Ann Becker", "Omar Haddad", "Lena Novak", "Tom Fraser", "Rosa Vidal", "Wei Zhang"),
    "zh": ("王小明", "李芳", "张伟", "陈静", "刘洋", "赵敏"),
}
_CITIES = {
    "en": ("Bristol", "Graz", "Porto", "Leeds", "Turin", "Oslo", "Austin", "Perth"),
    "zh": ("成都", "杭州", "武汉", "西安", "青岛", "长沙", "昆明", "苏州"),
}
_COMPANIES = {
    "en": ("Northwind", "Alder & Sons", "Blue Harbour", "Kestrel Works", "Lindenhof"),
    "zh": ("华新", "东方", "远景", "明德", "长青"),
}
_MONTHS = ("January", "March", "April", "June", "September", "October", "November")


class Topic(BaseModel):
    """A text with the questions that people ask about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    text: str
    """Has fields for what differs: number, amount, name, city, company, date."""
    questions: tuple[str, ...]


@cache
def topics() -> Sequence[Topic]:
    file = resources.files("sizeup_loadtest") / "workload" / "chat.yaml"
    return [Topic.model_validate(item) for item in yaml.safe_load(file.read_text("utf-8"))]


def question(random: Random) -> str:
    """Return a prompt of about 200 tokens; one in three is Chinese."""
    topic = random.choice(topics())
    language, day = topic.language, random.randint(1, 28)
    english = language == "en"
    text = topic.text.format(
        number=random.randint(10_000, 99_999),
        amount=random.randint(100, 999),
        name=random.choice(_NAMES[language]),
        city=random.choice(_CITIES[language]),
        company=random.choice(_COMPANIES[language]),
        date=f"{day} {random.choice(_MONTHS)}" if english else f"{random.randint(1, 12)}月{day}日",
    )
    # YAML joins lines with a space, which Chinese has not.
    return f"{text if english else text.replace(' ', '')}\n\n{random.choice(topic.questions)}"
