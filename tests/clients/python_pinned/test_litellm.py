"""LiteLLM with two of its providers."""

import json
from typing import Any, Literal

import litellm
import pytest
from pydantic import BaseModel

from clients import questions as q

Fields = dict[str, Any]


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


def text(reply: Any) -> Any:
    return reply.choices[0].message.content


class Provider:
    """What both providers offer."""

    name: str
    path = ""
    forced: Fields = {}  # noqa: RUF012  # replaced, never changed

    @pytest.fixture
    def server(self, url: str) -> Fields:
        return {"api_base": url + self.path, "api_key": "none", "num_retries": 0}

    @pytest.fixture
    def chat(self, server: Fields) -> Fields:
        return {
            "model": f"{self.name}/{q.MODEL}",
            "messages": q.asked(),
            "temperature": 0,
            **server,
        }

    @pytest.fixture
    def endless(self, server: Fields) -> Fields:
        return {"model": f"{self.name}/{q.ENDLESS}", "messages": q.asked(), **server}

    def test_models(self, server: Fields) -> None:
        names = litellm.get_valid_models(
            check_provider_endpoint=True,
            custom_llm_provider=self.name,
            api_base=server["api_base"],
            api_key=server["api_key"],
        )
        assert any(name.endswith(q.MODEL) for name in names)

    async def test_chat(self, chat: Fields) -> None:
        reply = litellm.completion(**chat)
        assert text(reply) == text(await litellm.acompletion(**chat)) == q.ANSWER
        assert reply.choices[0].finish_reason == "stop"

    async def test_stream(self, chat: Fields) -> None:
        chat["messages"] = q.asked(q.COUNT)
        parts = litellm.completion(**chat, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts) == q.COUNTED
        stream = await litellm.acompletion(**chat, stream=True)
        pieces = [part.choices[0].delta.content or "" async for part in stream]
        assert "".join(pieces) == q.COUNTED
        assert len(pieces) > 2

    def test_system(self, chat: Fields) -> None:
        chat["messages"] = q.asked(q.SYSTEM_QUESTION, q.SYSTEM)
        assert text(litellm.completion(**chat)) == q.SYSTEM_ANSWER

    def test_tools(self, chat: Fields) -> None:
        messages = q.asked(q.WEATHER_QUESTION)
        chat |= {"messages": messages, "tools": [q.TOOL]}
        reply = litellm.completion(**chat, **self.forced)
        assert reply.choices[0].finish_reason == "tool_calls"
        (call,) = reply.choices[0].message.tool_calls
        result = q.get_weather(**json.loads(call.function.arguments))
        messages += [
            reply.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": result},
        ]
        assert text(litellm.completion(**chat)) == q.WEATHER_ANSWER

    def test_tool_stream(self, chat: Fields) -> None:
        chat |= {"messages": q.asked(q.WEATHER_QUESTION), "tools": [q.TOOL]}
        parts = list(litellm.completion(**chat, **self.forced, stream=True))
        (call,) = litellm.stream_chunk_builder(parts).choices[0].message.tool_calls
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == q.ARGUMENTS

    def test_schema(self, chat: Fields) -> None:
        reply = litellm.completion(**chat, response_format=Answer)
        Answer.model_validate_json(text(reply))

    def test_stop(self, chat: Fields) -> None:
        assert text(litellm.completion(**chat, stop=[q.STOP])) == q.BEFORE_STOP

    def test_seed(self, endless: Fields) -> None:
        one, same, other = (
            text(litellm.completion(**endless, seed=seed, max_tokens=16)) for seed in (1, 1, 2)
        )
        assert one == same != other

    def test_usage(self, chat: Fields) -> None:
        complete = litellm.completion(**chat)
        *_, last = litellm.completion(**chat, stream=True, stream_options={"include_usage": True})
        assert last.usage.total_tokens == complete.usage.total_tokens

    def test_unknown_model(self, chat: Fields) -> None:
        with pytest.raises(litellm.NotFoundError):
            litellm.completion(**chat | {"model": f"{self.name}/{q.UNKNOWN}"})

    async def test_cancel(self, endless: Fields, url: str) -> None:
        async with q.one_cancelled(url):
            stream = await litellm.acompletion(**endless, stream=True)
            await anext(stream)
            await stream.aclose()


class TestOpenAI(Provider):
    """openai/."""

    name = "openai"
    path = "/v1"
    forced = {"tool_choice": "required"}  # noqa: RUF012

    def test_embeddings(self, server: Fields) -> None:
        texts = [q.QUESTION, q.COUNT]
        reply = litellm.embedding(
            model=f"openai/{q.MODEL}", input=texts, encoding_format="float", **server
        )
        assert [len(one["embedding"]) for one in reply.data] == [q.DIMENSIONS] * 2

    def test_logprobs(self, chat: Fields) -> None:
        reply = litellm.completion(**chat, logprobs=True, top_logprobs=2)
        tokens = reply.choices[0].logprobs.content
        assert "".join(token.token for token in tokens) == q.ANSWER

    def test_n(self, endless: Fields) -> None:
        reply = litellm.completion(**endless, n=2, max_tokens=8)
        first, second = (choice.message.content for choice in reply.choices)
        assert first != second


class TestOllamaChat(Provider):
    """ollama_chat/, and ollama/ for embeddings."""

    name = "ollama_chat"

    def test_embeddings(self, server: Fields) -> None:
        reply = litellm.embedding(model=f"ollama/{q.MODEL}", input=[q.QUESTION, q.COUNT], **server)
        assert [len(one["embedding"]) for one in reply.data] == [q.DIMENSIONS] * 2
