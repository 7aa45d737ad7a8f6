"""Fields for what OpenAI's platform does around a model.

Those that change no output are checked and without effect; an output that this server cannot give
is rejected.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import at_most, unsupported

_MAX_METADATA = 1024
"""Fields; OpenAI allows 16."""


def _only_text(value: list[str]) -> list[str]:
    if "audio" in value:
        raise ValueError("audio output is not supported by this server")
    return value


Modalities = Annotated[list[Literal["text", "audio"]], AfterValidator(_only_text)]


class PromptCacheOptions(RequestBody):
    """How OpenAI's prompt cache works; the prefix cache of this server needs no options."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Prediction(RequestBody):
    """Text that the output may repeat, which changes its speed only."""

    type: Literal["content"]
    content: str | list[dict[str, Any]]


class PlatformFields(RequestBody):
    """Fields of chat completions."""

    metadata: Annotated[dict[str, str], at_most(_MAX_METADATA)] | None = None
    store: bool | None = None
    """Nothing is stored in any case."""
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: Prediction | None = None
    modalities: Modalities | None = None
    audio: Annotated[None, unsupported("audio output is not supported by this server")] = None
    web_search_options: Annotated[
        None, unsupported("web search is not supported by this server")
    ] = None
    moderation: Annotated[None, unsupported("moderation is not supported by this server")] = None
