"""Events -> the stream chunks and whole responses of Ollama's API. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime

from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.json_bytes import JsonFragment, join_arrays, join_strings
from sizeup_gateway.responses.transcript import Choice, Transcript
from sizeup_gateway.responses.vectors import Vectors, to_bytes, to_numbers
from sizeup_wire.embeddings import Embedding, EmbedEvent
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


class _Chunks(ABC):
    """What both routes have in common: each event but Started becomes one chunk."""

    _calls_tools = False

    def __init__(self, model: str) -> None:
        """`model` is the name as the client wrote it."""
        self._model = model
        self._load_ns = 0
        self._transcript = Transcript.of(1, _token)

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        match event:
            case Started():
                self._load_ns = event.load_ns
            case Text():
                return (self._chunk(timing, self._content(event.text), event.logprobs),)
            case Thinking():
                content = self._content("", thinking=event.text)
                return (self._chunk(timing, content, event.logprobs),)
            case ToolCall() if self._calls_tools:
                content = self._content("", tool_calls=[_tool_call(event)])
                return (self._chunk(timing, content),)
            case Finished():
                return (self._chunk(timing, self._content("")) | self._statistics(event, timing),)
        return ()

    @abstractmethod
    def _content(self, text: str | JsonFragment, **more: object) -> Json:
        """Return the fields of a chunk that hold its text, and `more` beside it."""

    def collect(self, event: Event) -> int:
        if isinstance(event, Started):
            self._load_ns = event.load_ns
        return self._transcript.add(event)

    def _chunk(self, timing: Timing, fields: Json, logprobs: Sequence[TokenLogprob] = ()) -> Json:
        return {
            "model": self._model,
            "created_at": timestamp(timing.at),
            **fields,
            "done": False,
            **({"logprobs": [_token(token) for token in logprobs]} if logprobs else {}),
        }

    def _statistics(self, end: Finished, timing: Timing) -> Json:
        """Return the fields of the last chunk: reason, counts, and durations in nanoseconds."""
        return {
            "done": True,
            "done_reason": "length" if FinishReason.LENGTH in end.reasons else "stop",
            "total_duration": timing.elapsed_ns,
            "load_duration": self._load_ns,
            "prompt_eval_count": end.prompt_tokens,
            "prompt_eval_duration": end.prompt_eval_ns,
            "eval_count": end.completion_tokens,
            "eval_duration": end.eval_ns,
            **_drafts(end),
        }


def _drafts(end: Finished) -> Json:
    """Return the counts of a draft model, which Ollama does not have."""
    if not end.draft_tokens:
        return {}
    return {"draft_count": end.draft_tokens, "draft_accepted_count": end.accepted_draft_tokens}


class ChatChunks(_Chunks):
    """Chunks of /api/chat."""

    _calls_tools = True

    def __init__(self, model: str, *, images: bool = False) -> None:
        super().__init__(model)
        self._images = images

    def _content(self, text: str | JsonFragment, **more: object) -> Json:
        return {"message": {**assistant_message(text), **more}}

    def to_response(self, timing: Timing) -> Json:
        """Return the last chunk with the whole content in it."""
        (choice,) = self._transcript.choices
        message = assistant_message(join_strings(choice.text))
        if self._images:
            message["images"] = None
        if choice.thinking.data:
            message["thinking"] = join_strings(choice.thinking)
        calls = [call for call in choice.tool_calls if isinstance(call, ToolCall)]
        if calls:
            message["tool_calls"] = [_tool_call(call) for call in calls]
        response = self._chunk(timing, {"message": message})
        response |= self._statistics(self._transcript.end, timing)
        return response | _collected_logprobs(choice)


class GenerateChunks(_Chunks):
    """Chunks of /api/generate."""

    def _content(self, text: str | JsonFragment, **more: object) -> Json:
        return {"response": text, **more}

    def to_response(self, timing: Timing) -> Json:
        """Return the last chunk with the whole content in it."""
        (choice,) = self._transcript.choices
        response = self._chunk(timing, self._content(join_strings(choice.text)))
        if choice.thinking.data:
            response["thinking"] = join_strings(choice.thinking)
        response |= _collected_logprobs(choice)
        return response | self._statistics(self._transcript.end, timing)

    def _statistics(self, end: Finished, timing: Timing) -> Json:
        context = {} if end.context is None else {"context": list(end.context)}
        return super()._statistics(end, timing) | context


class _WholeResponse:
    """A response that is never streamed."""

    def to_chunks(self, event: object, timing: Timing) -> Sequence[Json]:
        return ()


class EmptyChunks(_WholeResponse):
    """Response to a request without a prompt: one object, even if the request streams."""

    def __init__(self, response: Json) -> None:
        self._response = response

    def collect(self, event: Event) -> int:
        return 0

    def to_response(self, timing: Timing) -> Json:
        return self._response


class LoadChunks(EmptyChunks):
    """Response that a model was loaded or unloaded."""

    def __init__(self, model: str, empty: Json, seconds: float | None) -> None:
        """`empty` is the field of an empty response of the route; `seconds` to stay loaded."""
        reason = "unload" if seconds == 0 else "load"
        super().__init__({"model": model, **empty, "done": True, "done_reason": reason})

    def to_response(self, timing: Timing) -> Json:
        return {**super().to_response(timing), "created_at": timestamp(timing.at)}


class ShowChunks(_WholeResponse):
    """Verbose response to a show request: megabytes, which are counted while they are sent."""

    def __init__(self, to_show: Callable[[datetime, Sequence[bytes] | None], Json]) -> None:
        self._to_show = to_show
        self._details: Sequence[bytes] | None = None

    def collect(self, event: Sequence[bytes]) -> int:
        self._details = event
        return sum(map(len, event))

    def to_response(self, timing: Timing) -> Json:
        return self._to_show(timing.at, self._details)


class EmbedChunks(_WholeResponse):
    """The response of /api/embed, which is always whole."""

    def __init__(self, model: str) -> None:
        """`model` is the name as the client wrote it."""
        self._model = model
        self._load_ns = self._prompt_tokens = 0
        self._vectors = Vectors()

    def collect(self, event: EmbedEvent) -> int:
        match event:
            case Started():
                self._load_ns = event.load_ns
            case Embedding():
                return self._vectors.add(event)
            case Finished():
                self._prompt_tokens = event.prompt_tokens
        return 0

    def to_response(self, timing: Timing) -> Json:
        return {
            "model": self._model,
            "embeddings": self._vectors.to_json(lambda _index, vector: to_numbers(vector)),
            "total_duration": timing.elapsed_ns,
            "load_duration": self._load_ns,
            "prompt_eval_count": self._prompt_tokens,
        }


class EmbeddingChunks(_WholeResponse):
    """The response of /api/embeddings, of one vector."""

    def __init__(self) -> None:
        self._vector = b"[]"

    def collect(self, event: EmbedEvent) -> int:
        if not isinstance(event, Embedding):
            return 0
        self._vector = to_numbers(to_bytes(event))
        return len(self._vector)

    def to_response(self, timing: Timing) -> Json:
        return {"embedding": JsonFragment((self._vector,))}


def timestamp(at: datetime) -> str:
    """Format a UTC time with six digits and Z: Python before 3.11 parses no other precision."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def assistant_message(text: str | JsonFragment) -> Json:
    """Return a message from the model."""
    return {"role": "assistant", "content": text}


def _tool_call(call: ToolCall) -> Json:
    function = {"index": call.index, "name": call.name, "arguments": call.arguments}
    return {"id": call.id, "function": function}


def _collected_logprobs(choice: Choice) -> Json:
    return {"logprobs": join_arrays(choice.logprobs)} if choice.logprobs.data else {}


def _token(token: TokenLogprob) -> Json:
    entry: Json = {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}
    if token.top:
        entry["top_logprobs"] = [
            {"token": top.token, "logprob": top.logprob, "bytes": list(top.bytes)}
            for top in token.top
        ]
    return entry
