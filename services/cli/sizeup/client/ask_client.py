"""`sizeup ask`: one chat request without streaming."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sizeup.client.gateway_client import connect
from sizeup.errors import InvalidResponseError


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and its sampling options; None is the model's default."""

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
    """Return the options that are set, by Ollama's names."""
    values = {"num_predict": max_tokens, "temperature": temperature, "seed": seed}
    return {name: value for name, value in values.items() if value is not None}


async def ask_once(question: Question, url: str, response_seconds: float) -> dict[str, Any]:
    """Return finish_reason, prompt_length, response_length (tokens) and response_text."""
    async with connect(url, response_seconds) as gateway:
        return summarize(await gateway.chat(question.body()))


def summarize(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the four values of a response, or raise InvalidResponseError."""
    try:
        return {
            "finish_reason": response["done_reason"],
            "prompt_length": response["prompt_eval_count"],
            "response_length": response["eval_count"],
            "response_text": response["message"]["content"],
        }
    except (KeyError, TypeError) as error:
        raise InvalidResponseError(f"the response has no {error}") from error
