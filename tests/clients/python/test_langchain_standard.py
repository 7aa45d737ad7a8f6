"""LangChain's standard tests of its packages for OpenAI, Ollama and Anthropic.

Tests whose assertions the answers of a tiny model cannot meet are expected to fail, but only with
what such an answer leads to: any error of the server is a failure.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.exceptions import OutputParserException
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from openai import LengthFinishReasonError
from pydantic import ValidationError

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
"""Parameters of chat completions by the beginning of a test's name; the other APIs have no bias."""

CALLS_BY_ITSELF = frozenset({"test_agent_loop", "test_unicode_tool_call_integration"})
"""They need calls, or arguments, that nothing forces."""
CALLS = frozenset({"test_tool_calling", "test_tool_calling_async"})
ENDS_STRINGS = frozenset(
    {
        "test_structured_output",
        "test_structured_output_async",
        "test_structured_output_optional_param",
        "test_structured_output_pydantic_2_v1",
    }
)


@pytest.fixture(autouse=True)
def expected_failure(request: pytest.FixtureRequest) -> None:
    if request.node.originalname in getattr(request.cls, "needs_able_model", ()):
        errors = (AssertionError, TypeError, OutputParserException, LengthFinishReasonError)
        reason = "needs an able model"
        request.applymarker(pytest.mark.xfail(raises=(*errors, ValidationError), reason=reason))


class TestChatOpenAI(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatOpenAI."""

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
    needs_able_model = CALLS_BY_ITSELF | {"test_json_mode"}

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> Any:
        name = request.node.name
        steered = next((v for prefix, v in STEERED.items() if name.startswith(prefix)), {})
        return ChatOpenAI(**self.chat_model_params, **getattr(request, "param", {}), **steered)


class TestChatOpenAIResponses(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatOpenAI with the Responses API."""

    chat_model_class = ChatOpenAI
    chat_model_params = {  # noqa: RUF012
        "model": q.MODEL,
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "use_responses_api": True,
    }
    model_override_value = OTHER_MODEL
    supports_json_mode = True
    needs_able_model = CALLS_BY_ITSELF | CALLS | ENDS_STRINGS | {"test_json_mode"}


class TestChatOllama(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatOllama; Ollama's API has no `tool_choice`."""

    chat_model_class = ChatOllama
    chat_model_params = {"model": q.MODEL, "temperature": 0, "num_predict": MAX_TOKENS}  # noqa: RUF012
    model_override_value = OTHER_MODEL
    supports_json_mode = True
    has_tool_choice = False
    needs_able_model = CALLS_BY_ITSELF | {
        *CALLS,
        "test_bind_runnables_as_tools",
        "test_json_mode",
        "test_tool_calling_with_no_arguments",
    }


class TestChatAnthropic(ChatModelIntegrationTests):  # type: ignore[misc]
    """ChatAnthropic."""

    chat_model_class = ChatAnthropic
    chat_model_params = {"model": q.MODEL, "temperature": 0, "max_tokens": MAX_TOKENS}  # noqa: RUF012
    model_override_value = OTHER_MODEL
    supports_anthropic_inputs = True
    needs_able_model = CALLS_BY_ITSELF | CALLS | ENDS_STRINGS


class TestOpenAIEmbeddings(EmbeddingsIntegrationTests):  # type: ignore[misc]
    """OpenAIEmbeddings, sending texts instead of the token ids of OpenAI's tokenizer."""

    embeddings_class = OpenAIEmbeddings
    embedding_model_params = {"model": q.MODEL, "check_embedding_ctx_length": False}  # noqa: RUF012


class TestOllamaEmbeddings(EmbeddingsIntegrationTests):  # type: ignore[misc]
    """OllamaEmbeddings."""

    embeddings_class = OllamaEmbeddings
    embedding_model_params = {"model": q.MODEL}  # noqa: RUF012
