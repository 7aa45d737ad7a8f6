"""Events -> Ollama's chunks and replies. Pure."""

from collections.abc import Sequence
from datetime import datetime

from sizeup_gateway.responses.framing import Json, Moment
from sizeup_gateway.responses.json_bytes import Written, joined_array, joined_text
from sizeup_gateway.responses.transcript import Choice, Transcript
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)


class ChatChunks:
    """Say the events of /api/chat."""

    def __init__(self, model: str, *, images: bool = False) -> None:
        """Echo the model as the request wrote it."""
        self._model = model
        self._images = images
        self._load_ns = 0
        self._transcript = Transcript.of(1, _token)

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return one chunk for each event but Started."""
        match event:
            case Started():
                self._load_ns = event.load_ns
                return ()
            case Text():
                return (self._chunk(moment, say(event.text), event.logprobs),)
            case Thinking():
                said = {**say(""), "thinking": event.text}
                return (self._chunk(moment, said, event.logprobs),)
            case ToolCall():
                said = {**say(""), "tool_calls": [_tool_call(event)]}
                return (self._chunk(moment, said, ()),)
            case Finished():
                return (self._last(moment, say(""), event),)
        return ()

    def gather(self, event: Event) -> int:
        """Keep an event."""
        return self._transcript.add(event)

    def to_reply(self, moment: Moment) -> Json:
        """Return the last chunk with everything in it."""
        (choice,) = self._transcript.choices
        message = say(joined_text(choice.text))
        if self._images:
            message["images"] = None
        if choice.thinking.data:
            message["thinking"] = joined_text(choice.thinking)
        if choice.tool_calls:
            message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
        self._load_ns = _load_ns(self._transcript)
        reply = self._last(moment, message, self._transcript.end)
        return reply | _gathered_logprobs(choice)

    def _chunk(self, moment: Moment, message: Json, logprobs: Sequence[TokenLogprob]) -> Json:
        return {
            "model": self._model,
            "created_at": timestamp(moment.at),
            "message": message,
            "done": False,
            **_logprobs(logprobs),
        }

    def _last(self, moment: Moment, message: Json, end: Finished) -> Json:
        return self._chunk(moment, message, ()) | statistics(end, self._load_ns, moment)


class GenerateChunks:
    """Say the events of /api/generate."""

    def __init__(self, model: str) -> None:
        """Echo the model as the request wrote it."""
        self._model = model
        self._load_ns = 0
        self._transcript = Transcript.of(1, _token)

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return one chunk for each event but Started."""
        match event:
            case Started():
                self._load_ns = event.load_ns
                return ()
            case Text():
                return (self._chunk(moment, event.text) | _logprobs(event.logprobs),)
            case Thinking():
                chunk = self._chunk(moment, "") | {"thinking": event.text}
                return (chunk | _logprobs(event.logprobs),)
            case Finished():
                return (self._chunk(moment, "") | self._end(moment, event),)
        return ()

    def gather(self, event: Event) -> int:
        """Keep an event."""
        return self._transcript.add(event)

    def to_reply(self, moment: Moment) -> Json:
        """Return the last chunk with everything in it."""
        (choice,) = self._transcript.choices
        self._load_ns = _load_ns(self._transcript)
        reply = self._chunk(moment, joined_text(choice.text))
        if choice.thinking.data:
            reply["thinking"] = joined_text(choice.thinking)
        return reply | _gathered_logprobs(choice) | self._end(moment, self._transcript.end)

    def _chunk(self, moment: Moment, text: str | Written) -> Json:
        return {
            "model": self._model,
            "created_at": timestamp(moment.at),
            "response": text,
            "done": False,
        }

    def _end(self, moment: Moment, end: Finished) -> Json:
        context = {} if end.context is None else {"context": list(end.context)}
        return statistics(end, self._load_ns, moment) | context


class ResidenceReply:
    """Say that a model has been loaded, or may go: one object, whatever was asked for."""

    def __init__(self, model: str, said: Json, reason: str) -> None:
        """Put an empty answer, `said`, beside the reason."""
        self._reply = {"model": model, **said, "done": True, "done_reason": reason}

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return nothing: there are no events."""
        return ()

    def gather(self, event: Event) -> int:
        """Keep nothing."""
        return 0

    def to_reply(self, moment: Moment) -> Json:
        """Return the object."""
        return {**self._reply, "created_at": timestamp(moment.at)}


def statistics(end: Finished, load_duration_ns: int, moment: Moment) -> Json:
    """Return what the last chunk adds: why it ended, and the six figures, in nanoseconds."""
    return {
        "done": True,
        "done_reason": "length" if FinishReason.LENGTH in end.reasons else "stop",
        "total_duration": moment.elapsed_ns,
        "load_duration": load_duration_ns,
        "prompt_eval_count": end.prompt_tokens,
        "prompt_eval_duration": end.prompt_eval_ns,
        "eval_count": end.completion_tokens,
        "eval_duration": end.eval_ns,
    }


def timestamp(at: datetime) -> str:
    """Write a UTC time with six digits and Z: Python before 3.11 reads no other count."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _load_ns(transcript: Transcript) -> int:
    """Return how long the request waited for weights."""
    return 0 if transcript.started is None else transcript.started.load_ns


def say(text: str | Written) -> Json:
    """Return a message of the model's."""
    return {"role": "assistant", "content": text}


def _tool_call(call: ToolCall) -> Json:
    function = {"index": call.index, "name": call.name, "arguments": call.arguments}
    return {"id": call.id, "function": function}


def _logprobs(logprobs: Sequence[TokenLogprob]) -> Json:
    if not logprobs:
        return {}
    return {"logprobs": [_token(token) for token in logprobs]}


def _gathered_logprobs(choice: Choice) -> Json:
    return {"logprobs": joined_array(choice.logprobs)} if choice.logprobs.data else {}


def _token(token: TokenLogprob) -> Json:
    said: Json = {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}
    if token.top:
        said["top_logprobs"] = [
            {"token": top.token, "logprob": top.logprob, "bytes": list(top.bytes)}
            for top in token.top
        ]
    return said
