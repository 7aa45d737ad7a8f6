"""Input items -> chat messages. Pure."""

from collections.abc import Mapping
from typing import Any

from sizeup_gateway.api.history import to_tool_call
from sizeup_gateway.api.openai.responses_api import schema
from sizeup_gateway.api.openai.responses_api.reasoning import unseal
from sizeup_gateway.api.openai.responses_api.tools import flat_name
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import MAX_MESSAGES, ChatMessage, ToolCallRequest

_ROLES: Mapping[str, str] = {"developer": "system"}


def to_messages(body: schema.ResponseInput) -> tuple[ChatMessage, ...]:
    """Translate instructions and input; raise InvalidRequestError for more than the wire's limit.

    Consecutive items of the assistant are one message: its reasoning, text and calls.
    """
    conversation = _Conversation()
    if body.instructions:
        conversation.add_text("system", body.instructions)
    for item in body.input:
        conversation.add(item)
    messages = conversation.finish()
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequestError(f"input: more than {MAX_MESSAGES} messages", "input")
    if not messages:
        raise InvalidRequestError("input: no messages", "input")
    return tuple(messages)


class _Conversation:
    def __init__(self) -> None:
        self._messages: list[ChatMessage] = []
        self._names: dict[str, str] = {}
        """Of called functions, by call id."""
        self._reasoning: list[str] = []
        """Of the assistant's message that has begun, like the next two."""
        self._texts: list[str] = []
        self._calls: list[ToolCallRequest] = []

    def add(self, item: schema.InputItem) -> None:
        match item:
            case schema.InputMessage(role="assistant"):
                self._texts.append(item.content)
            case schema.InputMessage():
                self.add_text(_ROLES.get(item.role, item.role), item.content)
            case schema.ReasoningItem():
                self._reasoning.append(item.content or unseal(item) or item.summary or "")
            case schema.FunctionCallItem():
                self._add_call(item, item.arguments)
            case schema.CustomToolCallItem():
                self._add_call(item, {"input": item.input})
            case schema.CallOutputItem():
                self._add_output(item)

    def add_text(self, role: str, text: str) -> None:
        """Add a message; consecutive system messages are one, since templates expect one."""
        self._end_assistant()
        last = self._messages[-1] if self._messages else None
        if role == "system" and last is not None and last.role == "system":
            text = f"{self._messages.pop().content}\n\n{text}"
        self._messages.append(ChatMessage.model_validate({"role": role, "content": text}))

    def finish(self) -> list[ChatMessage]:
        self._end_assistant()
        return self._messages

    def _add_call(
        self,
        item: schema.FunctionCallItem | schema.CustomToolCallItem,
        arguments: dict[str, Any] | str,
    ) -> None:
        name = self._names[item.call_id] = flat_name(item.namespace, item.name)
        self._calls.append(to_tool_call(item.call_id, name, arguments))

    def _add_output(self, item: schema.CallOutputItem) -> None:
        self._end_assistant()
        self._messages.append(
            ChatMessage(
                role="tool",
                content=item.output,
                tool_call_id=item.call_id,
                name=self._names.get(item.call_id),
            )
        )

    def _end_assistant(self) -> None:
        """Reasoning that led to nothing is no message."""
        if self._texts or self._calls:
            self._messages.append(
                ChatMessage(
                    role="assistant",
                    content="\n".join(self._texts),
                    thinking="\n\n".join(self._reasoning) or None,
                    tool_calls=tuple(self._calls),
                )
            )
        self._reasoning, self._texts, self._calls = [], [], []
