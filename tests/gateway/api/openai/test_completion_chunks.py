"""Chunks and whole responses of /v1/completions have the same content."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sizeup_gateway.api.openai.chunks import Heading
from sizeup_gateway.api.openai.completion_chunks import CompletionChunks
from sizeup_gateway.responses.framing import Timing
from sizeup_gateway.responses.json_bytes import encode_pieces
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    PromptToken,
    PromptTokens,
    Text,
    Thinking,
    TokenLogprob,
    TopLogprob,
)


def logprob(token: str | bytes) -> TokenLogprob:
    own = token.encode() if isinstance(token, str) else token
    return TokenLogprob(token=own.decode(errors="replace"), bytes=tuple(own), logprob=-0.5)


def prompt_token(
    token: str | bytes, value: float | None, *top: tuple[str | bytes, float]
) -> PromptToken:
    own = token.encode() if isinstance(token, str) else token
    likely = [(t.encode() if isinstance(t, str) else t, v) for t, v in top]
    return PromptToken(
        token=own.decode(errors="replace"),
        bytes=tuple(own),
        logprob=value,
        top=tuple(
            TopLogprob(token=t.decode(errors="replace"), bytes=tuple(t), logprob=v)
            for t, v in likely
        ),
    )


def finished(*reasons: FinishReason) -> Finished:
    return Finished(
        reasons=reasons or (FinishReason.STOP,),
        prompt_tokens=1,
        completion_tokens=2,
        prompt_eval_ns=1,
        eval_ns=1,
    )


def chunks(choices: int = 1, per_prompt: int = 1, *, logprobs: bool = True) -> CompletionChunks:
    heading = Heading("cmpl-1", 0, "m", "fp")
    return CompletionChunks(heading, choices, per_prompt=per_prompt, usage=True, logprobs=logprobs)


def collected(builder: CompletionChunks, *events: Event) -> list[dict[str, Any]]:
    for event in events:
        builder.collect(event)
    deployment = b"".join(encode_pieces(builder.to_response(Timing(datetime.now(UTC), 0))))
    choices: list[dict[str, Any]] = json.loads(deployment)["choices"]
    return choices


def streamed(builder: CompletionChunks, index: int, *events: Event) -> dict[str, Any]:
    """Join the chunks of one choice, as a client does."""
    lists: dict[str, list[Any]] = {}
    text = ""
    for event in events:
        for chunk in builder.to_chunks(event, Timing(datetime.now(UTC), 0)):
            for choice in (c for c in chunk["choices"] if c["index"] == index):
                text += choice["text"]
                for name, values in (choice["logprobs"] or {}).items():
                    lists.setdefault(name, []).extend(values)
    return {"text": text, "logprobs": lists or None}


def test_thinking_is_part_of_the_text_and_its_tokens() -> None:
    (choice,) = collected(
        chunks(),
        Thinking(text="hm", logprobs=(logprob("hm"),)),
        Text(text=" yes", logprobs=(logprob(" yes"),)),
        finished(),
    )
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"] == "hm yes"
    assert choice["logprobs"]["text_offset"] == [0, 2]


ECHO: tuple[Event, ...] = (
    PromptTokens(text="Once", tokens=(prompt_token("Once", None),)),
    PromptTokens(
        text=" upon a",
        tokens=(
            prompt_token(" upon", -1.0, (" upon", -1.0)),
            prompt_token(" a", -2.0, (" the", -0.25)),
        ),
    ),
    Text(text=" time", logprobs=(logprob(" time"),)),
)


def test_an_echo_starts_with_the_prompt() -> None:
    (choice,) = collected(chunks(), *ECHO, finished())
    assert choice["text"] == "Once upon a time"
    assert choice["logprobs"] == {
        "tokens": ["Once", " upon", " a", " time"],
        "token_logprobs": [None, -1.0, -2.0, -0.5],
        "top_logprobs": [None, {" upon": -1.0}, {" the": -0.25, " a": -2.0}, {" time": -0.5}],
        "text_offset": [0, 4, 9, 11],
    }


def test_an_echo_without_logprobs_is_text_alone() -> None:
    (choice,) = collected(
        chunks(logprobs=False), PromptTokens(text="ab"), Text(text="c"), finished()
    )
    assert (choice["text"], choice["logprobs"]) == ("abc", None)


@pytest.mark.parametrize("events", [ECHO, ECHO[:2]])
def test_stream_and_whole_response_have_the_same_content(events: tuple[Event, ...]) -> None:
    end = finished(FinishReason.LENGTH)
    (whole,) = collected(chunks(), *events, end)
    parts = streamed(chunks(), 0, *events, end)
    assert parts == {"text": whole["text"], "logprobs": whole["logprobs"]}


def test_each_choice_starts_with_its_prompt() -> None:
    """Two prompts with two choices each: events of the second prompt have choice 2."""
    events: tuple[Event, ...] = (
        PromptTokens(choice=2, text="b", tokens=(prompt_token("b", None),)),
        PromptTokens(choice=0, text="a", tokens=(prompt_token("a", None),)),
        *(
            Text(choice=i, text=str(i), logprobs=(logprob(str(i)),))
            for i in (3, 0, 1, 2)
        ),
        finished(*[FinishReason.STOP] * 4),
    )  # fmt: skip
    whole = collected(chunks(4, 2), *events)
    assert [choice["text"] for choice in whole] == ["a0", "a1", "b2", "b3"]
    for i, choice in enumerate(whole):
        assert choice["logprobs"]["token_logprobs"] == [None, -0.5]
        assert choice["logprobs"]["text_offset"] == [0, 1]
        assert choice["logprobs"]["text_offset"] == [0, 1]
        parts = streamed(chunks(4, 2), i, *events)
        assert parts == {"text": choice["text"], "logprobs": choice["logprobs"]}


def test_offsets_count_characters_of_several_tokens() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    (choice,) = collected(
        chunks(),
        PromptTokens(text="", tokens=(prompt_token(first, None),)),
        PromptTokens(text="é!", tokens=(prompt_token(second, -1.0), prompt_token("!", -1.0))),
        Text(text="é", logprobs=(logprob(first), logprob(second))),
        Text(text="?", logprobs=(logprob("?"),)),
        finished(),
    )
    assert choice["text"] == "é!é?"
    assert choice["logprobs"]["text_offset"] == [0, 0, 1, 2, 2, 3]


def test_parts_of_characters_have_distinct_names() -> None:
    """Otherwise a client finds the wrong token in top_logprobs."""
    token = prompt_token(b"\xe4\xbd", -3.0, (b"\xe4", -0.25), ("�", -1.0))
    (choice,) = collected(chunks(), PromptTokens(text="", tokens=(token,)), finished())
    assert choice["logprobs"]["tokens"] == [r"bytes:\xe4\xbd"]
    assert choice["logprobs"]["top_logprobs"] == [
        {r"bytes:\xe4": -0.25, "�": -1.0, r"bytes:\xe4\xbd": -3.0}
    ]


def test_a_completion_does_not_complete_a_character_of_its_prompt() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    (choice,) = collected(
        chunks(),
        PromptTokens(text="�", tokens=(prompt_token(first, None),)),
        Text(text="�", logprobs=(logprob(second),)),
        Text(text="x", logprobs=(logprob("x"),)),
        finished(),
    )
    assert choice["text"] == "��x"
    assert choice["logprobs"]["text_offset"] == [0, 1, 2]
