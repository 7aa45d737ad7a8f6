"""The gateway's Service answers in both dialects, as their official clients read them."""

from collections.abc import Callable

import ollama
import openai
import pytest

from cluster.release import Release

SMALL, LARGE = "Qwen/Qwen1.5-0.5B-Chat", "Qwen/Qwen1.5-1.8B-Chat"


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    made = new_release("answers")
    made.install(
        {
            "models": {
                "small": {"id": SMALL, "engine": "fake"},
                "large": {"id": LARGE, "engine": "fake"},
            }
        }
    )
    made.wait()
    return made


def test_openai(release: Release) -> None:
    client = openai.OpenAI(base_url=f"{release.url}/v1", api_key="any", max_retries=0)
    said = client.chat.completions.create(
        model=SMALL, messages=[{"role": "user", "content": "Hello"}]
    )
    assert "Hello" in (said.choices[0].message.content or "")
    parts = client.chat.completions.create(
        model=LARGE, messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert "Hello" in "".join(part.choices[0].delta.content or "" for part in parts)


def test_ollama(release: Release) -> None:
    client = ollama.Client(release.url)
    messages = [{"role": "user", "content": "Hello"}]
    said = client.chat(SMALL, messages, stream=False)
    assert "Hello" in (said.message.content or "")
    parts = client.chat(LARGE, messages, stream=True)
    assert "Hello" in "".join(part.message.content or "" for part in parts)
