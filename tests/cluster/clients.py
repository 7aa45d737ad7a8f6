"""The official clients, set up to hide nothing."""

import ollama
import openai
from openai.types.chat import ChatCompletionUserMessageParam

_SECONDS = 120.0
"""A cold start on a busy machine takes most of it."""
HELLO: ChatCompletionUserMessageParam = {"role": "user", "content": "Hello"}


_LISTS = 12
"""So many connections reach both of two gateways, but once in two thousand times."""


def openai_at(url: str) -> openai.OpenAI:
    """Return OpenAI's client, which asks once."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=_SECONDS)


def ollama_at(url: str) -> ollama.Client:
    """Return Ollama's client."""
    return ollama.Client(url, timeout=_SECONDS)


def states(url: str) -> dict[str, str] | None:
    """Return names to states as /v1/models lists them, once every gateway lists the same.

    Each has its own copy of the catalogue and its own view of the replicas.
    """
    lists = [_states_of_one(url) for _ in range(_LISTS)]
    return lists[0] if all(listed == lists[0] for listed in lists) else None


def _states_of_one(url: str) -> dict[str, str]:
    with openai_at(url) as client:  # a new connection, and so a gateway drawn anew
        entries = list(client.models.list())
    return {e.id.removesuffix(":latest"): str(getattr(e, "state", "")) for e in entries}
