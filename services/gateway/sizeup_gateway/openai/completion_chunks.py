"""Events -> the chunks and replies of OpenAI's older /v1/completions. Pure."""

import codecs
from collections.abc import Sequence

from sizeup_gateway.openai.chunks import Heading, heading_fields, to_usage
from sizeup_gateway.stream import Json, Moment
from sizeup_gateway.transcript import Transcript
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    PromptToken,
    PromptTokens,
    Started,
    Text,
    Thinking,
    TokenLogprob,
    TopLogprob,
)

_KIND = "text_completion"
_Token = PromptToken | TokenLogprob


class CompletionChunks:
    """Say the events of /v1/completions."""

    def __init__(
        self,
        heading: Heading,
        choices: int,
        *,
        per_prompt: int = 1,
        usage: bool,
        logprobs: bool,
    ) -> None:
        """Tell whether a usage chunk ends the stream, and whether logprobs were asked for.

        `per_prompt` choices in a row share a prompt.
        """
        self._heading = heading
        self._usage = usage
        self._logprobs = logprobs
        self._cached_tokens = 0
        self._per_prompt = per_prompt
        self._offsets = [_Offset() for _ in range(choices)]

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return the chunks of one event; a model that thinks unasked thinks in its text."""
        match event:
            case Started():
                self._cached_tokens = event.cached_tokens
            case PromptTokens():
                sharers = range(event.choice, event.choice + self._per_prompt)
                return [self._chunk(i, event.text, event.tokens) for i in sharers]
            case Text() | Thinking():
                return [self._chunk(event.choice, event.text, event.logprobs)]
            case Finished():
                return self._last(event)
        return ()

    def to_reply(self, transcript: Transcript, moment: Moment) -> Json:
        """Return the whole completion."""
        end, started = transcript.end, transcript.started
        choices = [
            self._whole_choice(transcript, i, reason) for i, reason in enumerate(end.reasons)
        ]
        usage = to_usage(end, started.cached_tokens if started else 0)
        return heading_fields(self._heading, _KIND) | {"choices": choices, "usage": usage}

    def _whole_choice(self, transcript: Transcript, index: int, reason: FinishReason) -> Json:
        choice = transcript.choices[index]
        shared = transcript.choices[index - index % self._per_prompt]
        return self._choice(
            index,
            shared.prompt + choice.thinking + choice.text,
            (*shared.prompt_tokens, *choice.thinking_logprobs, *choice.logprobs),
            reason,
        )

    def _last(self, end: Finished) -> list[Json]:
        chunks = [self._chunk(i, "", (), reason) for i, reason in enumerate(end.reasons)]
        if self._usage:
            usage = to_usage(end, self._cached_tokens)
            chunks.append(heading_fields(self._heading, _KIND) | {"choices": [], "usage": usage})
        return chunks

    def _chunk(
        self,
        index: int,
        text: str,
        logprobs: Sequence[_Token],
        reason: FinishReason | None = None,
    ) -> Json:
        choice = self._choice(index, text, logprobs, reason)
        chunk = heading_fields(self._heading, _KIND) | {"choices": [choice]}
        return chunk | {"usage": None} if self._usage else chunk

    def _choice(
        self,
        index: int,
        text: str,
        logprobs: Sequence[_Token],
        reason: FinishReason | None,
    ) -> Json:
        wanted = self._logprobs and (logprobs or reason is not None)
        return {
            "text": text,
            "index": index,
            "logprobs": self._logprobs_of(index, logprobs) if wanted else None,
            "finish_reason": None if reason is None else reason.value,
        }

    def _logprobs_of(self, index: int, tokens: Sequence[_Token]) -> Json:
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._offsets[index].before(token))
        return {
            "tokens": [_name(token) for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [_top(token) for token in tokens],
            "text_offset": offsets,
        }


class _Offset:
    """Counts the characters of a text; a token may be part of one."""

    def __init__(self) -> None:
        self._characters = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._answers = False

    def before(self, token: _Token) -> int:
        """Take the next token and return where in the text it begins."""
        if not self._answers and isinstance(token, TokenLogprob):
            # A prompt that was cut inside a character ends on U+FFFD; the answer begins anew.
            self._answers = True
            self._characters += len(self._decoder.decode(b"", final=True))
        begins = self._characters
        self._characters += len(self._decoder.decode(bytes(token.bytes)))
        return begins


def _top(token: _Token) -> dict[str, float] | None:
    """Return the likeliest tokens and the chosen one, which need not be among them.

    None for the first token of a prompt.
    """
    if token.logprob is None:
        return None
    return {_name(top): top.logprob for top in token.top} | {_name(token): token.logprob}


def _name(token: _Token | TopLogprob) -> str:
    r"""Return a token's text, or "bytes:\xe4\xbd" for part of a character, as OpenAI does.

    Two such parts are two names: readers look in top_logprobs for the token they have.
    """
    if "\ufffd" not in token.token:
        return token.token
    own = bytes(token.bytes)
    try:
        return own.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in own)
