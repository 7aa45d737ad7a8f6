"""The official clients, without retries, so that no failure is hidden."""

import ollama
import openai
from openai.types.chat import ChatCompletionUserMessageParam

_SECONDS = 120.0
"""Covers a cold start on a busy machine."""
HELLO: ChatCompletionUserMessageParam = {"role": "user", "content": "Hello"}


_LISTS = 12
"""With two gateways, so many connections miss one of them once in 2,000 runs."""


def openai_at(url: str) -> openai.OpenAI:
    """Return OpenAI's client, without retries."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=_SECONDS)


def ollama_at(url: str) -> ollama.Client:
    """Return Ollama's client."""
    return ollama.Client(url, timeout=_SECONDS)


def states(url: str) -> dict[str, str] | None:
    """Return the state of each model from /v1/models, or None while the gateways disagree.

    Each gateway has its own copy of the catalog and its own view of the replicas. None too where a
    connection fails: this is polled, and the tests of lost requests have clients of their own.
    """
    try:
        lists = [_states_once(url) for _ in range(_LISTS)]
    except openai.APIConnectionError:
        return None
    return lists[0] if all(listed == lists[0] for listed in lists) else None


def _states_once(url: str) -> dict[str, str]:
    with openai_at(url) as client:  # a new connection may reach another gateway
        entries = list(client.models.list())
    return {e.id.removesuffix(":latest"): str(getattr(e, "state", "")) for e in entries}
