"""Responses of the comparison, for the OpenAPI document."""

from typing import Any, Literal

from sizeup_gateway.api.documentation import ResponseBody
from sizeup_gateway.api.ollama.response_schema import Logprob, ResponseMessage, Statistics
from sizeup_gateway.api.openai.response_schema import CompletionObject, CompletionUsage
from sizeup_gateway.comparison.figures import AnswerFigures


class ComparedModel(ResponseBody):
    """A model of a comparison."""

    model: str
    parameters: int | None
    state: str
    """ready, loading, downloading, failed or unloaded."""


class AnswerAgreement(ResponseBody):
    """Models that gave the same answer as the largest that answered."""

    largest: str
    same: list[str]
    """Ascending by size, the largest included."""
    smallest: str


class Comparison(ResponseBody):
    """The whole comparison: the first chunk has what was planned, the last how it ended."""

    id: str
    models: list[ComparedModel] | None = None
    """Ascending by size."""
    samples: int | None = None
    seed: int | None = None
    """Of sample 0; drawn where the request has none."""
    one_at_a_time: bool | None = None
    answered: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    seconds: float | None = None
    agreement: AnswerAgreement | None = None


class AnswerFailure(ResponseBody):
    """Why an answer failed."""

    message: str
    code: str | None
    type: str | None = None
    """In OpenAI's dialect."""
    param: str | None = None


class AnswerFields(ResponseBody):
    """What the chunks of an answer have beside those of the dialect's chat."""

    sample: int | None = None
    """Counted from 0; with `model` it identifies the answer. Absent in the first and last chunk."""
    done: bool | None = None
    """True in the last chunk of an answer, and in the last of all."""
    status: (
        Literal[
            "waiting",
            "unloaded",
            "downloading",
            "loading",
            "failed",
            "busy",
            "queued",
            "generating",
        ]
        | None
    ) = None
    progress: float | None = None
    """0 to 1, of a download or of loading."""
    prompt_tokens: int | None = None
    """With status generating."""
    tokens: int | None = None
    """Tokens of this chunk's text."""
    text: str | None = None
    """The whole answer, in its last chunk."""
    thinking: str | None = None
    figures: AnswerFigures | None = None
    failure: AnswerFailure | None = None
    compare: Comparison | None = None
    """In the first and the last chunk, which belong to no answer."""


class CompareChunk(AnswerFields, Statistics):
    """A chunk of `POST /api/compare`."""

    model: str | None = None
    created_at: str
    message: ResponseMessage | None = None
    logprobs: list[Logprob] | None = None
    done_reason: Literal["stop", "length", "cancelled", "error"] | None = None


class CompareResponse(ResponseBody):
    """`POST /api/compare` without streaming."""

    created_at: str
    done: Literal[True]
    compare: Comparison
    responses: list[CompareChunk]
    """The last chunk of every answer, with the whole message."""


class OpenAICompareChunk(CompletionObject, AnswerFields):
    """A chunk of `POST /v1/compare`, and of `responses` the whole completion."""

    choices: list[dict[str, Any]]
    """As in a chat completion; the index is the sample. Empty in chunks without text."""
    usage: CompletionUsage | None = None


class OpenAICompareResponse(ResponseBody):
    """`POST /v1/compare` without streaming."""

    id: str
    object: str
    created: int
    compare: Comparison
    responses: list[OpenAICompareChunk]


class StopResponse(ResponseBody):
    """`POST /api/compare/stop`."""

    stopped: int
    """Answers that had not ended."""


class SizePrice(ResponseBody):
    """Price of a replica."""

    per_hour: float
    currency: str


class SizeMeasured(ResponseBody):
    """What the last load test measured; null is what it did not."""

    tokens_per_second: float | None
    ttft_seconds: float | None
    max_load: float | None
    ability: float | None
    ability_low: float | None
    ability_high: float | None
    per_million_tokens: float | None
    at: str | None


class Size(ResponseBody):
    """A model of the catalog."""

    model: str
    family: str
    """The name without the size, as in "qwen2.5" or "qwen2.5-base"."""
    parameters: int | None
    state: str
    """ready, loading, downloading, failed or unloaded."""
    progress: float | None
    context_length: int | None
    capabilities: list[str]
    price: SizePrice | None
    measured: SizeMeasured | None


class SizesResponse(ResponseBody):
    """`GET /api/sizes`."""

    models: list[Size]
    """Ascending by size."""
