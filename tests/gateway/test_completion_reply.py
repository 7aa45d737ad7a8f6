from datetime import UTC, datetime

from sizeup_gateway.openai.chunks import Heading
from sizeup_gateway.openai.completion_chunks import CompletionChunks
from sizeup_gateway.stream import Moment
from sizeup_gateway.transcript import Transcript
from sizeup_wire.events import Finished, FinishReason, Text, Thinking, TokenLogprob


def logprob(token: str) -> TokenLogprob:
    return TokenLogprob(token=token, bytes=tuple(token.encode()), logprob=-0.5)


def test_the_tokens_of_a_completion_that_thinks_spell_its_text() -> None:
    transcript = Transcript.of(1)
    for event in (
        Thinking(text="hm", logprobs=(logprob("hm"),)),
        Text(text=" yes", logprobs=(logprob(" yes"),)),
        Finished(
            reasons=(FinishReason.STOP,),
            prompt_tokens=1,
            completion_tokens=2,
            prompt_eval_ns=1,
            eval_ns=1,
        ),
    ):
        transcript.add(event)
    chunks = CompletionChunks(Heading("cmpl-1", 0, "m", "fp"), 1, usage=True, logprobs=True)
    (choice,) = chunks.to_reply(transcript, Moment(datetime.now(UTC), 0))["choices"]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"] == "hm yes"
    assert choice["logprobs"]["text_offset"] == [0, 2]
