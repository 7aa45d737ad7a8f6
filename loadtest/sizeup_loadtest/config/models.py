"""The sections of models and of their servers."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

from sizeup_loadtest.config.section import ConfigSection, Name, Seconds
from sizeup_loadtest.config.servers import MaxTokensField, base_url
from sizeup_loadtest.data.record import Api

REDACTED = "redacted"
OWN_PARAMETERS = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "temperature", "seed", "n"),
        *("max_tokens", "max_completion_tokens"),
        *("options.num_predict", "options.temperature", "options.seed"),
    }
)


def _without_values(values: Mapping[str, object]) -> Mapping[str, str]:
    return dict.fromkeys(values, REDACTED)


def _is_sendable(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError(f"{name!r} is not the name of a header")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name}: the value of a header is printable ASCII")
    return headers


def _leaves_the_load(body: Mapping[str, object]) -> Mapping[str, object]:
    options = body.get("options")
    nested = options if isinstance(options, Mapping) else {}
    if taken := sorted(OWN_PARAMETERS & {*body, *(f"options.{name}" for name in nested)}):
        raise ValueError(f"set by the load test itself: {', '.join(taken)}")
    return body


Redacted = PlainSerializer(_without_values)
"""Only names are written anywhere, because values may be secrets."""
Headers = Annotated[Mapping[str, str], AfterValidator(_is_sendable), Redacted]
ExtraBody = Annotated[Mapping[str, object], AfterValidator(_leaves_the_load), Redacted]
Url = Annotated[str, AfterValidator(base_url)]


class ServerKeys(ConfigSection):
    """How a server is reached. Keys of a model take precedence over those of `target`."""

    api: Api | None = None
    """None: found out from the server."""
    api_key_env: Name | None = None
    """Name of the environment variable that holds the API key; None: SIZEUP_BENCH_API_KEY, which
    may be unset, and is for one host."""
    headers: Headers = Field({})
    """Sent with every request; those of a model are added to the target's."""
    extra_body: ExtraBody = Field({})
    """Parameters added to every request, as OpenAI's clients name them; those of a model are added
    to the target's."""
    verify: bool | Annotated[str, Field(min_length=1)] | None = None
    """false: certificates are not verified. A file: the CA that signed them, relative to the
    config."""
    max_tokens_field: MaxTokensField | None = None
    """None: `max_tokens`, and the other one where the server refuses it."""


class Target(ServerKeys):
    """The server under test, and the defaults of models that have servers of their own."""

    url: Url = "http://127.0.0.1:11434"
    timeout_seconds: Seconds = 300
    """From sending the request to the last byte of the response."""


class ModelConfig(ServerKeys):
    """One model of the ladder of sizes."""

    name: Name
    """In reports."""
    model: Name | None = None
    """The name that is sent to the server; None: `name`."""
    url: Url | None = None
    """None: the target's."""
    parameters: Annotated[float, Field(gt=0)] | None = None
    """Number of parameters, as 7.6e9, where the server does not report it."""
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """US dollars, for all hardware that serves the model."""
    bandwidth_gb_s: Annotated[float, Field(gt=0)] | None = None
    """Memory bandwidth of that hardware, 1e9 bytes per second: an upper bound of tokens/s."""
    metrics_url: Annotated[str, Field(pattern="^https?://")] | None = None
    """Prometheus metrics of the model's server; None: /metrics of its URL, where it has them."""
