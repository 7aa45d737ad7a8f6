"""Request bodies; unknown fields are ignored."""

from typing import Any

from pydantic import BaseModel, Field

from loadtest.mock.script import MockRequest


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _StreamOptions(BaseModel):
    include_usage: bool = False


class OpenAiBody(BaseModel):
    """`/v1/chat/completions` and `/v1/completions`."""

    model: str
    messages: list[_Message] = []
    prompt: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    ignore_eos: bool = False
    stream: bool = False
    stream_options: _StreamOptions | None = None

    def wanted(self) -> MockRequest:
        prompt = self.prompt if isinstance(self.prompt, str) else "\n".join(self.prompt or [])
        limit = self.max_completion_tokens or self.max_tokens
        return MockRequest(
            model=self.model,
            prompt=_joined(self.messages) if self.messages else prompt,
            max_tokens=limit,
            forced=self.ignore_eos and limit is not None,
            stream=self.stream,
            usage=self.stream_options is not None and self.stream_options.include_usage,
        )


class _Options(BaseModel):
    num_predict: int | None = None


class OllamaBody(BaseModel):
    """`/api/chat` and `/api/generate`."""

    model: str
    messages: list[_Message] = []
    prompt: str = ""
    stream: bool = True
    options: _Options | None = None
    keep_alive: str | float | None = None

    @property
    def empty(self) -> bool:
        """Whether the request only loads or unloads the model."""
        return not self.messages and not self.prompt

    @property
    def unloads(self) -> bool:
        """Whether the request unloads the model."""
        return self.empty and self.keep_alive in (0, "0", "0s", "0m")

    def wanted(self) -> MockRequest:
        limit = self.options.num_predict if self.options else None
        return MockRequest(
            model=self.model,
            prompt=_joined(self.messages) if self.messages else self.prompt,
            max_tokens=limit if limit is not None and limit > 0 else None,
            forced=False,
            stream=self.stream,
            usage=True,
        )


def _joined(messages: list[_Message]) -> str:
    return "\n".join(message.text() for message in messages)
