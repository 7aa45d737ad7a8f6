"""A conversation with a model, and `sizeup ask`, which sends one without streaming."""

from collections.abc import Mapping
from typing import Any

from sizeup.client.gateway_client import connect
from sizeup.errors import InvalidResponseError


def sampling_options(
    max_tokens: int | None, temperature: float | None, seed: int | None
) -> dict[str, float]:
    """Return the options that are set, by Ollama's names."""
    values = {"num_predict": max_tokens, "temperature": temperature, "seed": seed}
    return {name: value for name, value in values.items() if value is not None}


class Conversation:
    """The messages so far, the text of interrupted responses included."""

    def __init__(self, model: str, system: str | None, options: Mapping[str, float]) -> None:
        self._model = model
        self._options = options
        self.messages: list[dict[str, str]] = []
        if system:
            self.add("system", system)

    def add(self, role: str, content: str) -> None:
        self.messages.append({"role": role, "content": content})

    def body(self) -> dict[str, Any]:
        """Return the body of POST /api/chat."""
        return {"model": self._model, "messages": self.messages, "options": dict(self._options)}


async def ask_once(conversation: Conversation, url: str, response_seconds: float) -> dict[str, Any]:
    """Return the four values of the response to the conversation, or raise InvalidResponseError."""
    async with connect(url, response_seconds) as gateway:
        return _summary(await gateway.chat(conversation.body()))


def _summary(response: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {
            "finish_reason": response["done_reason"],
            "prompt_length": response["prompt_eval_count"],
            "response_length": response["eval_count"],
            "response_text": response["message"]["content"],
        }
    except (KeyError, TypeError) as error:
        raise InvalidResponseError(f"the response has no {error}") from error
