"""What every client asks, and what the models answer at temperature 0: questions.json."""

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_VALUES: dict[str, Any] = json.loads(Path(__file__).with_name("questions.json").read_text())

MODEL: str = _VALUES["MODEL"]
ENDLESS: str = _VALUES["ENDLESS"]
"""Its tokens are random and do not end: for seeds, several choices, and cancelling."""
UNKNOWN: str = _VALUES["UNKNOWN"]
CREATED: str = _VALUES["CREATED"]
COPIED: str = _VALUES["COPIED"]

QUESTION: str = _VALUES["QUESTION"]
ANSWER: str = _VALUES["ANSWER"]
STOP: str = _VALUES["STOP"]
BEFORE_STOP: str = _VALUES["BEFORE_STOP"]
"""The part of the answer before STOP."""
COUNT: str = _VALUES["COUNT"]
COUNTED: str = _VALUES["COUNTED"]
"""Of many tokens, so that a stream has several parts."""
SYSTEM: str = _VALUES["SYSTEM"]
"""A system prompt that SYSTEM_QUESTION cannot be answered without."""
SYSTEM_QUESTION: str = _VALUES["SYSTEM_QUESTION"]
SYSTEM_ANSWER: str = _VALUES["SYSTEM_ANSWER"]
STORY: str = _VALUES["STORY"]

WEATHER_QUESTION: str = _VALUES["WEATHER_QUESTION"]
WEATHER_ANSWER: str = _VALUES["WEATHER_ANSWER"]
ARGUMENTS: dict[str, str] = _VALUES["ARGUMENTS"]
RESULT: str = _VALUES["RESULT"]
TOOL: dict[str, Any] = _VALUES["TOOL"]
FORCED: Any = {"type": "function", "function": {"name": TOOL["function"]["name"]}}
"""As OpenAI's tool_choice."""

SCHEMA: dict[str, Any] = _VALUES["SCHEMA"]
"""Without strings, which a tiny model does not end."""

DIMENSIONS: int = _VALUES["DIMENSIONS"]
"""Of the vectors of MODEL."""

CANCEL_SECONDS: float = _VALUES["CANCEL_SECONDS"]
"""The gateway notices a closed connection at once; the bound is for a busy machine."""
_POLL_SECONDS = 0.05


def get_weather(city: str) -> str:
    """get the weather"""  # the description of TOOL: clients send the docstring
    assert {"city": city} == ARGUMENTS
    return RESULT


def asked(text: str = QUESTION, system: str | None = None) -> Any:
    """Return the messages of a conversation, in the form of both APIs."""
    user = {"role": "user", "content": text}
    return [user] if system is None else [{"role": "system", "content": system}, user]


def is_answer(value: Any) -> bool:
    """Whether an object is valid under SCHEMA."""
    return (
        set(value) == {"color", "count"}
        and value["color"] in ("red", "blue")
        and isinstance(value["count"], int)
    )


@asynccontextmanager
async def one_cancelled(url: str) -> AsyncIterator[None]:
    """The gateway counts one more request as cancelled soon after the block."""
    before = _cancelled(url)
    yield
    async with asyncio.timeout(CANCEL_SECONDS):
        while _cancelled(url) == before:  # noqa: ASYNC110  # it is counted in another process
            await asyncio.sleep(_POLL_SECONDS)
    assert _cancelled(url) == before + 1


def _cancelled(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=CANCEL_SECONDS) as response:
        text = response.read().decode()
    counts = re.findall(r'requests_total\{[^}]*outcome="cancelled"[^}]*\} (\S+)', text)
    return sum(float(count) for count in counts)
