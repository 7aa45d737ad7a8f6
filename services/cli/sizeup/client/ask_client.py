"""`sizeup ask`: one question, one line with the answer and its length in tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sizeup.client.gateway_client import connect
from sizeup.errors import BrokenAnswerError


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model; None leaves a value to the model's defaults."""

    model: str
    prompt: str
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None

    def body(self) -> dict[str, Any]:
        """Return the body of POST /api/chat."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "model": self.model,
            "messages": [*system, {"role": "user", "content": self.prompt}],
            "options": options(self.max_tokens, self.temperature, self.seed),
        }


def options(
    max_tokens: int | None, temperature: float | None, seed: int | None
) -> dict[str, float]:
    """Return Ollama's names for what was said."""
    said = {"num_predict": max_tokens, "temperature": temperature, "seed": seed}
    return {name: value for name, value in said.items() if value is not None}


async def ask(question: Question, url: str, answer_seconds: float) -> dict[str, Any]:
    """Ask and return finish_reason, prompt_length, response_length (tokens), response_text."""
    async with connect(url, answer_seconds) as gateway:
        return summarize(await gateway.chat(question.body()))


def summarize(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Take the four values out of an answer, or raise BrokenAnswerError."""
    try:
        return {
            "finish_reason": answer["done_reason"],
            "prompt_length": answer["prompt_eval_count"],
            "response_length": answer["eval_count"],
            "response_text": answer["message"]["content"],
        }
    except (KeyError, TypeError) as error:
        raise BrokenAnswerError(f"the answer has no {error}") from error
