"""The official clients, set up to hide nothing."""

import ollama
import openai
from openai.types.chat import ChatCompletionUserMessageParam

_SECONDS = 120.0
"""A cold start on a busy machine takes most of it."""
HELLO: ChatCompletionUserMessageParam = {"role": "user", "content": "Hello"}


def openai_at(url: str) -> openai.OpenAI:
    """Return OpenAI's client, which asks once."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=_SECONDS)


def ollama_at(url: str) -> ollama.Client:
    """Return Ollama's client."""
    return ollama.Client(url, timeout=_SECONDS)
