"""The rows and columns of docs/clients.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FEATURES: Mapping[str, str] = {
    "models": "the served models are listed",
    "manage": "a model is pulled; one is created with a system prompt, asked, copied and deleted",
    "chat": "a question is answered",
    "stream": "the streamed answer is the same, in several parts",
    "system": "a system prompt is followed",
    "tools": "the model calls a function, forced where the client can, and answers with its result",
    "tool_stream": "the same, or the call alone, in a stream",
    "schema": "the answer is valid under a JSON schema",
    "embeddings": "texts become vectors",
    "logprobs": "log-probabilities of the tokens that make up the answer",
    "n": "several choices",
    "stop": "a stop string ends the answer",
    "seed": "the same seed gives the same random text, another one another text",
    "usage": "a stream ends with the counts of tokens",
    "unknown_model": "a model that is not served is the client's own error for 404",
    "cancel": "a stream that the client leaves is counted as cancelled by the gateway",
}
"""Meaning by the name of the test, without `test_`."""


Api = Literal["Chat Completions", "Responses", "Ollama", "Anthropic"]


@dataclass(frozen=True, slots=True)
class Client:
    """A client, or one of its interfaces."""

    title: str
    api: Api
    tests: str
    """The module or class of its tests. A feature without a test is not offered."""
    packages: tuple[str, ...]
    """Those whose versions are shown."""

    @property
    def folder(self) -> str:
        """Where its tests are, and what is installed for them."""
        return self.tests.partition(".")[0]


CLIENTS = (
    Client("openai", "Chat Completions", "python.test_openai", ("openai",)),
    Client("openai, async", "Chat Completions", "python.test_openai_async", ("openai",)),
    Client("openai (npm)", "Chat Completions", "node.openai", ("openai",)),
    Client(
        "LangChain ChatOpenAI",
        "Chat Completions",
        "python.test_langchain_openai",
        ("langchain-openai",),
    ),
    Client(
        "LiteLLM `openai/`",
        "Chat Completions",
        "python_pinned.test_litellm.TestOpenAI",
        ("litellm",),
    ),
    Client("instructor", "Chat Completions", "python_pinned.test_instructor", ("instructor",)),
    Client("Pydantic AI", "Chat Completions", "python.test_pydantic_ai", ("pydantic-ai-slim",)),
    Client(
        "AI SDK, openai-compatible",
        "Chat Completions",
        "node.ai_sdk_openai",
        ("ai", "@ai-sdk/openai-compatible"),
    ),
    Client(
        "curl, as in OpenAI's docs", "Chat Completions", "python.test_curl.TestOpenAI", ("curl",)
    ),
    Client("openai, async", "Responses", "python.test_openai_responses", ("openai",)),
    Client("openai-agents", "Responses", "python.test_openai_agents", ("openai-agents",)),
    Client("AI SDK, openai", "Responses", "node.ai_sdk_responses", ("ai", "@ai-sdk/openai")),
    Client("ollama", "Ollama", "python.test_ollama", ("ollama",)),
    Client("ollama, async", "Ollama", "python.test_ollama_async", ("ollama",)),
    Client("ollama (npm)", "Ollama", "node.ollama", ("ollama",)),
    Client("LangChain ChatOllama", "Ollama", "python.test_langchain_ollama", ("langchain-ollama",)),
    Client(
        "LiteLLM `ollama_chat/`",
        "Ollama",
        "python_pinned.test_litellm.TestOllamaChat",
        ("litellm",),
    ),
    Client("llm with llm-ollama", "Ollama", "python_pinned.test_llm", ("llm", "llm-ollama")),
    Client(
        "AI SDK, ollama-ai-provider-v2",
        "Ollama",
        "node.ai_sdk_ollama",
        ("ai", "ollama-ai-provider-v2"),
    ),
    Client("curl, as in Ollama's docs", "Ollama", "python.test_curl.TestOllama", ("curl",)),
    Client("anthropic", "Anthropic", "python.test_anthropic", ("anthropic",)),
    Client("@anthropic-ai/sdk (npm)", "Anthropic", "node.anthropic", ("@anthropic-ai/sdk",)),
    Client(
        "LangChain ChatAnthropic",
        "Anthropic",
        "python.test_langchain_anthropic",
        ("langchain-anthropic",),
    ),
    Client("AI SDK, anthropic", "Anthropic", "node.ai_sdk_anthropic", ("ai", "@ai-sdk/anthropic")),
)

STANDARD_TESTS: Mapping[str, str] = {
    "ChatOpenAI": "python.test_langchain_standard.TestChatOpenAI",
    "ChatOpenAI with Responses": "python.test_langchain_standard.TestChatOpenAIResponses",
    "ChatOllama": "python.test_langchain_standard.TestChatOllama",
    "ChatAnthropic": "python.test_langchain_standard.TestChatAnthropic",
    "OpenAIEmbeddings": "python.test_langchain_standard.TestOpenAIEmbeddings",
    "OllamaEmbeddings": "python.test_langchain_standard.TestOllamaEmbeddings",
}
"""Classes of LangChain, and the tests of each."""
