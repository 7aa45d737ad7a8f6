"""The two dialects of a comparison. Pure."""

import time
from collections.abc import Callable

from sizeup_gateway.api.ollama.chunks import ChatChunks as OllamaChunks
from sizeup_gateway.api.ollama.chunks import assistant_message, timestamp
from sizeup_gateway.api.openai.chunks import ChatChunks as OpenAIChunks
from sizeup_gateway.api.openai.chunks import Heading, fingerprint, heading_fields, to_usage
from sizeup_gateway.api.openai.translate import chat_param
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.comparison.updates import Answer, Plan
from sizeup_gateway.errors import GatewayError, UpstreamError, ollama_body, openai_body
from sizeup_gateway.responses.framing import Chunks, Json, Timing
from sizeup_wire.events import Event, Finished

_CANCELLED = "cancelled"


class OllamaForm:
    """`/api/compare`: the chunks of an answer are those of /api/chat."""

    def new_chunks(self, answer: Answer) -> Chunks[Event]:
        return OllamaChunks(answer.name)

    def bare(self, answer: Answer | None, timing: Timing, *, done: bool) -> Json:
        model = {} if answer is None else {"model": answer.name}
        return {**model, "created_at": timestamp(timing.at), "done": done}

    def whole(self, timing: Timing) -> Json:
        return self.bare(None, timing, done=True)

    def partial(self, answer: Answer, text: str) -> Json:
        return {"message": assistant_message(text)}

    def end(self, answer: Answer, finished: Finished | None) -> Json:
        if finished is not None:
            return {}
        return {"message": assistant_message(""), "done_reason": _CANCELLED}

    def failure(self, error: GatewayError, answer: Answer) -> Json:
        error = _restate(error, answer, str)
        failure = {"code": error.code, "message": ollama_body(error)["error"]}
        return {"done_reason": "error", "failure": failure}


class OpenAIForm:
    """`/v1/compare`: the chunks of an answer are those of /v1/chat/completions.

    An error of one answer is its `failure`: at an `error`, OpenAI's clients leave the stream.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._created = int(time.time())

    def new_chunks(self, answer: Answer) -> Chunks[Event]:
        return OpenAIChunks(
            self._heading(answer),
            1,
            usage=False,
            logprobs=answer.request.logprobs is not None,
            first_index=answer.sample,
        )

    def bare(self, answer: Answer | None, timing: Timing, *, done: bool) -> Json:
        fields = heading_fields(self._heading(answer), "chat.completion.chunk")
        return fields | {"choices": [], "done": done}

    def whole(self, timing: Timing) -> Json:
        return {"id": self._plan.id, "object": "compare", "created": self._created}

    def partial(self, answer: Answer, text: str) -> Json:
        message = {"role": "assistant", "content": text}
        choice = {"index": answer.sample, "message": message, "finish_reason": None}
        return {"object": "chat.completion", "choices": [choice]}

    def end(self, answer: Answer, finished: Finished | None) -> Json:
        if finished is not None:
            return {"done": True, "usage": to_usage(finished)}
        choice = {"index": answer.sample, "delta": {}, "finish_reason": _CANCELLED}
        return {"choices": [choice]}

    def failure(self, error: GatewayError, answer: Answer) -> Json:
        return {"failure": openai_body(_restate(error, answer, chat_param))["error"]}

    def _heading(self, answer: Answer | None) -> Heading:
        if answer is None:
            return Heading(self._plan.id, self._created, "", None)
        return Heading(self._plan.id, self._created, answer.name, fingerprint(answer.model))


def _restate(error: GatewayError, answer: Answer, to_param: Callable[[str], str]) -> GatewayError:
    if isinstance(error, UpstreamError):
        return to_client_error(error, answer.name, to_param)
    return error
