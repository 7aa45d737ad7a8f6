"""A replica that calls a tool, and answers with its result."""

from collections.abc import AsyncIterator

from gateway.fake_inference import Script, finished, started
from sizeup_wire.events import (
    Event,
    FinishReason,
    Text,
    Thinking,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)
from sizeup_wire.generate import ChatPrompt, GenerateRequest

CALL: list[Event] = [
    ToolCallStarted(index=0, id="call_1", name="weather"),
    ToolCallArguments(index=0, text='{"city": "'),
    ToolCallArguments(index=0, text='北京"}'),
    ToolCall(index=0, id="call_1", name="weather", arguments={"city": "北京"}),
]


def tool_loop(*call: Event, before: str = "") -> Script:
    """Call a tool, after some text if any; then answer with the tool's result."""

    async def script(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        assert isinstance(request.prompt, ChatPrompt)
        results = [message for message in request.prompt.messages if message.role == "tool"]
        if results:
            yield Text(text=f"{results[-1].name}: {results[-1].content}")
            yield finished(1)
            return
        yield Thinking(text="a tool would help")
        if before:
            yield Text(text=before)
        for event in call:
            yield event
        yield finished(5, FinishReason.TOOL_CALLS)

    return script
