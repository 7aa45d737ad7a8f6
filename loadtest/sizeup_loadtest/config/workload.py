"""Sections of the config that describe requests: their lengths, shared prefixes, traces."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from sizeup_loadtest.config.section import ConfigSection

MAX_LENGTH = 1_000_000
Length = Annotated[int, Field(ge=1, le=MAX_LENGTH)]


class LengthDistribution(ConfigSection):
    """Random lengths, one per request, the same for every model."""

    distribution: Literal["normal", "lognormal", "uniform"] = "normal"
    mean: Annotated[float, Field(ge=1, le=MAX_LENGTH)] | None = None
    """Of normal and lognormal lengths, before `min` and `max` cut them."""
    stdev: Annotated[float, Field(ge=0, le=MAX_LENGTH)] = 0
    min: Length = 1
    max: Length = MAX_LENGTH

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is greater than max")
        if self.distribution != "uniform":
            if self.mean is None or not self.min <= self.mean <= self.max:
                raise ValueError("a mean between min and max is required")
        elif self.mean is not None or self.stdev:
            raise ValueError("a uniform distribution has min and max only")
        elif self.max == MAX_LENGTH:
            raise ValueError("a uniform distribution requires max")
        return self


# Tags are part of the path of an error; `=` marks what is no key of the file.
def _form(value: object) -> str:
    return "=distribution" if isinstance(value, Mapping | LengthDistribution) else "=number"


Lengths = Annotated[
    Annotated[Length, Tag("=number")] | Annotated[LengthDistribution, Tag("=distribution")],
    Discriminator(_form),
]
"""A number, or a distribution."""

StageLengths = Annotated[
    Annotated[tuple[Length, ...], Tag("=number")]
    | Annotated[LengthDistribution, Tag("=distribution")],
    Discriminator(_form),
]
"""Numbers, each of which adds its own stages, or a distribution."""


class SharedPrefix(ConfigSection):
    """A system prompt that many requests have in common, as those of an application do."""

    words: Length
    groups: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Different system prompts; requests take them in turn."""


class TraceConfig(ConfigSection):
    """Recorded traffic that is sent again: when requests arrive, and how long they are."""

    file: Annotated[str, Field(min_length=1)]
    """Relative to the config."""
    format: Literal["azure", "mooncake", "csv"]
    """azure: CSV with TIMESTAMP, ContextTokens and GeneratedTokens (AzurePublicDataset's LLM
    inference traces). mooncake: JSON Lines with timestamp (ms), input_length, output_length and
    hash_ids (blocks of 512 prompt tokens; equal ids are equal text). csv: columns seconds,
    prompt_tokens and completion_tokens."""
    speed: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Above 1, requests arrive faster than recorded."""
    max_requests: Annotated[int, Field(ge=1, le=100_000)] = 500
    """The first ones of the trace are sent."""
    tokens_per_word: Annotated[float, Field(ge=0.1, le=10)] = 1.3
    """Prompts are made of words; the report has the server's count of their tokens."""
