"""The rows and columns of docs/clients.md."""

from collections.abc import Mapping
from dataclasses import dataclass

FEATURES: Mapping[str, str] = {
    "models": "the served models are listed",
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


@dataclass(frozen=True, slots=True)
class Client:
    """A client, or one of its interfaces."""

    title: str
    tests: str
    """The module or class of its tests. A feature without a test is not offered."""
    packages: tuple[str, ...] = ()
    """Those whose versions are shown: of PyPI, or `npm:` and a name."""


PYTHON_CLIENTS = (
    Client("openai", "python.test_openai", ("openai",)),
    Client("openai, async", "python.test_openai_async", ("openai",)),
    Client("ollama", "python.test_ollama", ("ollama",)),
    Client("ollama, async", "python.test_ollama_async", ("ollama",)),
    Client("LangChain ChatOpenAI", "python.test_langchain_openai", ("langchain-openai",)),
    Client("LangChain ChatOllama", "python.test_langchain_ollama", ("langchain-ollama",)),
    Client("LiteLLM `openai/`", "python.test_litellm.TestOpenAI", ("litellm",)),
    Client("LiteLLM `ollama_chat/`", "python.test_litellm.TestOllamaChat", ("litellm",)),
    Client("instructor", "python.test_instructor", ("instructor",)),
    Client("Pydantic AI", "python.test_pydantic_ai", ("pydantic-ai-slim",)),
    Client("llm with llm-ollama", "python.test_llm", ("llm", "llm-ollama")),
    Client("curl, as in Ollama's docs", "python.test_curl.TestOllama", ("curl",)),
    Client("curl, as in OpenAI's docs", "python.test_curl.TestOpenAI", ("curl",)),
)
NODE_CLIENTS = (
    Client("openai (npm)", "node.openai", ("npm:openai",)),
    Client("ollama (npm)", "node.ollama", ("npm:ollama",)),
    Client(
        "AI SDK, openai-compatible",
        "node.ai_sdk_openai",
        ("npm:ai", "npm:@ai-sdk/openai-compatible"),
    ),
    Client("AI SDK, Ollama", "node.ai_sdk_ollama", ("npm:ai", "npm:ollama-ai-provider-v2")),
)

STANDARD_TESTS = (
    Client("ChatOpenAI", "standard.test_langchain.TestChatOpenAI"),
    Client("ChatOllama", "standard.test_langchain.TestChatOllama"),
    Client("OpenAIEmbeddings", "standard.test_langchain.TestOpenAIEmbeddings"),
    Client("OllamaEmbeddings", "standard.test_langchain.TestOllamaEmbeddings"),
)
"""Suites that their authors publish for implementations, of which only the numbers are shown."""
