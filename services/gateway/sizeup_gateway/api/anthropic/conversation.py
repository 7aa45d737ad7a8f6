"""Anthropic's turns -> chat messages. Pure."""

from collections.abc import Iterator

from sizeup_gateway.api.anthropic import schema
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import MAX_MESSAGES, ChatMessage, ToolCallRequest


def to_messages(body: schema.CountTokensRequest) -> tuple[ChatMessage, ...]:
    """Translate system prompt and turns, without last turns of the assistant that have no text.

    Raises InvalidRequestError for blocks in turns that cannot have them, for calls without a result
    at the end, and for more messages than the wire's limit.
    """
    names: dict[str, str] = {}
    messages = [ChatMessage(role="system", content=body.system)] if body.system else []
    for i, turn in enumerate(body.messages):
        place = f"messages.{i}"
        if turn.role == "assistant":
            messages.append(_assistant(turn, place))
            names |= {call.id: call.name for call in messages[-1].tool_calls if call.id}
        else:
            messages += _turn(turn, names, place)
    if messages[-1].tool_calls:
        place = f"messages.{len(body.messages) - 1}"
        raise InvalidRequestError(f"{place}: tool_use without a tool_result after it", place)
    while messages and messages[-1].role == "assistant" and not messages[-1].content:
        messages.pop()
    if not messages or len(messages) > MAX_MESSAGES:
        message = f"messages: there must be 1 to {MAX_MESSAGES}, each with content"
        raise InvalidRequestError(message, "messages")
    return tuple(messages)


def _assistant(turn: schema.MessageParam, place: str) -> ChatMessage:
    texts: list[str] = []
    thinking: list[str] = []
    calls: list[ToolCallRequest] = []
    for i, block in enumerate(turn.content):
        match block:
            case schema.TextBlock():
                texts.append(block.text)
            case schema.ThinkingBlock():
                thinking.append(block.thinking)
            case schema.ToolUseBlock():
                calls.append(ToolCallRequest(id=block.id, name=block.name, arguments=block.input))
            case schema.ToolResultBlock():
                raise _misplaced(f"{place}.content.{i}", turn.role)
    return ChatMessage(
        role="assistant",
        content="\n".join(texts),
        thinking="\n\n".join(thinking) or None,
        tool_calls=tuple(calls),
    )


def _turn(turn: schema.MessageParam, names: dict[str, str], place: str) -> Iterator[ChatMessage]:
    """Yield a turn of the user or of the system: results of tools are messages of their own."""
    texts: list[str] = []
    for i, block in enumerate(turn.content):
        match block:
            case schema.TextBlock():
                texts.append(block.text)
            case schema.ToolResultBlock() if turn.role == "user":
                yield from _text(turn, texts)
                texts = []
                yield _result(block, names)
            case _:
                raise _misplaced(f"{place}.content.{i}", turn.role)
    yield from _text(turn, texts)


def _text(turn: schema.MessageParam, texts: list[str]) -> Iterator[ChatMessage]:
    if texts or not turn.content:
        yield ChatMessage.model_validate({"role": turn.role, "content": "\n".join(texts)})


def _result(block: schema.ToolResultBlock, names: dict[str, str]) -> ChatMessage:
    """Templates cannot mark a result as an error, so its text says so."""
    text = block.content or ""
    return ChatMessage(
        role="tool",
        content=f"Error: {text}" if block.is_error else text,
        tool_call_id=block.tool_use_id,
        name=names.get(block.tool_use_id),
    )


def _misplaced(place: str, role: str) -> InvalidRequestError:
    message = f"{place}: blocks of this type cannot be in a turn of the {role}"
    return InvalidRequestError(message, place)
