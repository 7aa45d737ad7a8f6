"""Messages of chat completions -> wire messages. Pure."""

from collections.abc import Mapping, Sequence

from sizeup_gateway.api.history import to_tool_call
from sizeup_gateway.api.openai.message_schema import ChatCompletionMessageParam
from sizeup_wire.generate import ChatMessage, ToolCallRequest

_ROLES: Mapping[str, str] = {"developer": "system", "function": "tool"}


def to_messages(messages: Sequence[ChatCompletionMessageParam]) -> tuple[ChatMessage, ...]:
    """Translate the messages; a tool result gets the name of the function that was called."""
    names: dict[str, str] = {}
    turns: list[ChatMessage] = []
    for message in messages:
        turn = _message(message, names)
        names |= {call.id: call.name for call in turn.tool_calls if call.id}
        turns.append(turn)
    return tuple(turns)


def _message(message: ChatCompletionMessageParam, names: Mapping[str, str]) -> ChatMessage:
    call_id = message.tool_call_id
    thoughts = (message.reasoning_content, message.reasoning, message.thinking)
    return ChatMessage.model_validate(
        {
            "role": _ROLES.get(message.role, message.role),
            "content": message.content or message.refusal or "",
            "thinking": next((text for text in thoughts if text is not None), None),
            "tool_calls": _calls(message),
            "tool_call_id": call_id,
            "name": message.name or (names.get(call_id) if call_id else None),
        }
    )


def _calls(message: ChatCompletionMessageParam) -> tuple[ToolCallRequest, ...]:
    functions = [(call.id, call.function) for call in message.tool_calls or ()]
    if message.function_call is not None:
        functions.append((None, message.function_call))
    return tuple(to_tool_call(id, called.name, called.arguments) for id, called in functions)
