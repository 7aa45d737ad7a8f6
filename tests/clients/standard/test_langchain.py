"""LangChain's standard tests of its packages for OpenAI and Ollama.

A test whose assertion the answer of a tiny model cannot meet is expected to fail, but only with
that assertion: any error of the server is a failure.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from openai import LengthFinishReasonError

from clients import questions as q

OTHER_MODEL = "toy:0.5m"
MAX_TOKENS = 200
"""The answers have fewer; a toy model can repeat a word without end."""

SHORT_STRINGS = {"logit_bias": {1: 12, 278: 12, 516: 12}}
"""Favours the tokens that end a JSON string, which the model alone does not end."""
ONE_CALL = {"logit_bias": {18: 30, 92: 60}, "model_kwargs": {"parallel_tool_calls": False}}
"""Favours "3" and then "}": these tests expect one call with {"input": 3}."""
STEERED: Mapping[str, Mapping[str, Any]] = {
    "test_structured_output": SHORT_STRINGS,
    "test_tool_calling[": ONE_CALL,
    "test_tool_calling_async": ONE_CALL,
}
"""Further parameters of ChatOpenAI by the beginning of a test's name."""

needs_able_model = pytest.mark.xfail(
    raises=(AssertionError, OutputParserException, LengthFinishReasonError),
    reason="needs an able model",
)


class TestChatOpenAI(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatOpenAI, with every option that the server supports."""

    chat_model_class = ChatOpenAI
    chat_model_params = {  # noqa: RUF012
        "model": q.MODEL,
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "stream_usage": True,  # off for servers other than OpenAI's
    }
    model_override_value = OTHER_MODEL
    supports_json_mode = True
    supports_anthropic_inputs = True

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> Any:
        name = request.node.name
        steered = next((v for prefix, v in STEERED.items() if name.startswith(prefix)), {})
        return ChatOpenAI(**self.chat_model_params, **getattr(request, "param", {}), **steered)

    @needs_able_model
    def test_json_mode(self, model: Any) -> None:
        super().test_json_mode(model)

    @needs_able_model
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_agent_loop(self, model: Any) -> None:
        super().test_agent_loop(model)

    @needs_able_model
    def test_unicode_tool_call_integration(self, model: Any) -> None:
        super().test_unicode_tool_call_integration(model)


class TestChatOllama(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatOllama, with the options that its own tests set."""

    chat_model_class = ChatOllama
    chat_model_params = {"model": q.MODEL, "temperature": 0, "num_predict": MAX_TOKENS}  # noqa: RUF012
    model_override_value = OTHER_MODEL
    supports_json_mode = True
    has_tool_choice = False

    @needs_able_model
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_tool_calling(self, model: Any) -> None:
        super().test_tool_calling(model)

    @needs_able_model
    async def test_tool_calling_async(self, model: Any) -> None:
        await super().test_tool_calling_async(model)

    @needs_able_model
    def test_tool_calling_with_no_arguments(self, model: Any) -> None:
        super().test_tool_calling_with_no_arguments(model)

    @needs_able_model
    def test_bind_runnables_as_tools(self, model: Any) -> None:
        super().test_bind_runnables_as_tools(model)

    @needs_able_model
    def test_json_mode(self, model: Any) -> None:
        super().test_json_mode(model)

    @needs_able_model
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_agent_loop(self, model: Any) -> None:
        super().test_agent_loop(model)

    @needs_able_model
    def test_unicode_tool_call_integration(self, model: Any) -> None:
        super().test_unicode_tool_call_integration(model)


class TestOpenAIEmbeddings(EmbeddingsIntegrationTests):  # type: ignore[misc]
    """OpenAIEmbeddings, which sends texts instead of the token ids of OpenAI's tokenizer."""

    embeddings_class = OpenAIEmbeddings
    embedding_model_params = {"model": q.MODEL, "check_embedding_ctx_length": False}  # noqa: RUF012


class TestOllamaEmbeddings(EmbeddingsIntegrationTests):  # type: ignore[misc]
    """OllamaEmbeddings."""

    embeddings_class = OllamaEmbeddings
    embedding_model_params = {"model": q.MODEL}  # noqa: RUF012
