"""Events -> the chunks and whole responses of /v1/chat/completions. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sizeup_gateway.models.catalog import Model
from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.json_bytes import JsonFragment, join_arrays, join_strings
from sizeup_gateway.responses.transcript import Choice, PartialCall, Transcript
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)


@dataclass(frozen=True, slots=True)
class Heading:
    """Fields that every chunk of a response repeats."""

    id: str
    created: int
    """Unix seconds."""
    model: str
    """As the client wrote it."""
    fingerprint: str | None
    """Changes with the weights."""


def fingerprint(model: Model) -> str | None:
    """Return the heading's fingerprint; None while nothing has described the model."""
    return f"fp_{model.info.digest[:10]}" if model.info else None


class ChatChunks:
    """Chunks of /v1/chat/completions."""

    def __init__(
        self,
        heading: Heading,
        choices: int,
        *,
        usage: bool,
        logprobs: bool,
        functions: bool = False,
        reasoning: bool = True,
        first_index: int = 0,
    ) -> None:
        """`usage`: the stream ends with a usage chunk; `logprobs`: logprobs were requested.

        `functions`: calls have the form of `function_call`, the predecessor of `tool_calls`;
        `reasoning`: thinking is returned.
        """
        self._heading = heading
        self._choices = choices
        self._first_index = first_index
        self._usage = usage
        self._logprobs = logprobs
        self._functions = functions
        self._reasoning = reasoning
        self._streamed: set[tuple[int, int]] = set()
        """Choice and index of the calls whose arguments were streamed."""
        self._transcript = Transcript.of(choices, token_logprob)

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        """Return the chunks of one event: the role first, the finish reasons last."""
        match event:
            case Started():
                first = {"role": "assistant", "content": ""}
                return [self._chunk(i, dict(first)) for i in range(self._choices)]
            case Text():
                return [self._chunk(event.choice, {"content": event.text}, event.logprobs)]
            case Thinking() if self._reasoning:
                return [self._chunk(event.choice, _reasoning(event.text))]
            case ToolCallStarted() | ToolCallArguments() | ToolCall():
                return [self._chunk(event.choice, delta) for delta in self._call_deltas(event)]
            case Finished():
                return self._last(event)
        return ()

    def collect(self, event: Event) -> int:
        """Collect an event; logprobs are those of the content, not of the thinking."""
        if isinstance(event, Thinking):
            event = Thinking(choice=event.choice, text=event.text if self._reasoning else "")
        return self._transcript.add(event)

    def to_response(self, timing: Timing) -> Json:
        end = self._transcript.end
        choices = [
            self._whole_choice(i, choice, end.reasons[i])
            for i, choice in enumerate(self._transcript.choices)
        ]
        return self._object("chat.completion", choices) | {"usage": to_usage(end)}

    def _call_deltas(self, event: ToolCallStarted | ToolCallArguments | ToolCall) -> list[Json]:
        """Return id and name, then the arguments in further deltas: clients concatenate them."""
        if isinstance(event, ToolCallStarted):
            self._streamed.add((event.choice, event.index))
            return [self._call_delta(event.index, _call(event.id, event.name, ""))]
        if isinstance(event, ToolCallArguments):
            return [self._call_delta(event.index, {"function": {"arguments": event.text}})]
        if (event.choice, event.index) in self._streamed:
            return []
        whole = _tool_call(event)
        arguments = {"function": {"arguments": whole["function"]["arguments"]}}
        started = _call(event.id, event.name, "")
        return [self._call_delta(event.index, part) for part in (started, arguments)]

    def _call_delta(self, index: int, call: Json) -> Json:
        if self._functions:
            return {"function_call": call["function"]}
        return {"tool_calls": [{"index": index, **call}]}

    def _finish_reason(self, reason: FinishReason) -> str:
        if self._functions and reason is FinishReason.TOOL_CALLS:
            return "function_call"
        return reason.value

    def _whole_choice(self, index: int, choice: Choice, reason: FinishReason) -> Json:
        text = join_strings(choice.text)
        message: Json = {"role": "assistant", "content": text, "refusal": None}
        if choice.tool_calls:
            message["content"] = text if choice.text.data else None
            calls = [_tool_call(call) for call in choice.tool_calls]
            message |= (
                {"function_call": calls[0]["function"]}
                if self._functions
                else {"tool_calls": calls}
            )
        if choice.thinking.data:
            message |= _reasoning(join_strings(choice.thinking))
        tokens = {"content": join_arrays(choice.logprobs), "refusal": None}
        return {
            "index": self._first_index + index,
            "message": message,
            "logprobs": tokens if self._logprobs else None,
            "finish_reason": self._finish_reason(reason),
        }

    def _last(self, end: Finished) -> list[Json]:
        chunks = [self._chunk(i, {}, reason=reason) for i, reason in enumerate(end.reasons)]
        if self._usage:
            usage = {"usage": to_usage(end)}
            chunks.append(self._object("chat.completion.chunk", []) | usage)
        return chunks

    def _chunk(
        self,
        index: int,
        delta: Json,
        logprobs: Sequence[TokenLogprob] = (),
        reason: FinishReason | None = None,
    ) -> Json:
        choice = {
            "index": self._first_index + index,
            "delta": delta,
            "logprobs": _logprobs(logprobs) if logprobs else None,
            "finish_reason": None if reason is None else self._finish_reason(reason),
        }
        chunk = self._object("chat.completion.chunk", [choice])
        return chunk | {"usage": None} if self._usage else chunk

    def _object(self, kind: str, choices: list[Json]) -> Json:
        return heading_fields(self._heading, kind) | {"choices": choices}


def heading_fields(heading: Heading, kind: str) -> Json:
    """Return the fields of every object of a response."""
    return {
        "id": heading.id,
        "object": kind,
        "created": heading.created,
        "model": heading.model,
        "system_fingerprint": heading.fingerprint,
    }


def to_usage(end: Finished) -> Json:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": end.prompt_tokens + end.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": end.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": end.reasoning_tokens, **_predicted(end)},
    }


def _predicted(end: Finished) -> Json:
    """Return OpenAI's counts of a prediction, which is the draft model's here."""
    if not end.draft_tokens:
        return {}
    return {
        "accepted_prediction_tokens": end.accepted_draft_tokens,
        "rejected_prediction_tokens": end.draft_tokens - end.accepted_draft_tokens,
    }


def _reasoning(text: str | JsonFragment) -> Json:
    """Return thinking under both names that clients read: Ollama's and vLLM's."""
    return {"reasoning": text, "reasoning_content": text}


def _tool_call(call: ToolCall | PartialCall) -> Json:
    if isinstance(call, PartialCall):
        return _call(call.id, call.name, "".join(call.arguments))
    return _call(call.id, call.name, json.dumps(call.arguments, ensure_ascii=False))


def _call(id: str, name: str, arguments: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _logprobs(tokens: Sequence[TokenLogprob]) -> Json:
    return {"content": [token_logprob(token) for token in tokens], "refusal": None}


def token_logprob(token: TokenLogprob) -> Json:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": list(token.bytes),
        "top_logprobs": [
            {"token": top.token, "logprob": top.logprob, "bytes": list(top.bytes)}
            for top in token.top
        ],
    }
