"""The server of a model: where and how it is reached. Pure, but for reading a CA file."""

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Literal
from urllib.parse import urlsplit

from sizeup_loadtest.data.record import Api
from sizeup_loadtest.errors import ConfigError

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]

_ENDPOINT = re.compile(r"(/v1|/api)(/(chat|chat/completions|completions|models|generate|tags))?/*$")
"""The end of a base URL or endpoint as clients of both APIs are given it."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server of one model. `repr` has no secrets."""

    url: str
    """Without a slash at the end, /v1 or /api."""
    model: str
    """The name of the model there."""
    api: Api = "openai"
    key: str | None = field(default=None, repr=False)
    """Sent as a bearer token."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, object] = field(default_factory=dict, repr=False)
    """Merged into the body of every request."""
    verify: bool | str = True
    """Whether the certificate is verified, or the file of the CA that signed it."""
    max_tokens_field: MaxTokensField = "max_tokens"
    omitted: frozenset[str] = frozenset()
    """Parameters that the server refuses."""
    timeout_seconds: float = 300

    @property
    def request_headers(self) -> Mapping[str, str]:
        """Of every request. Compression would delay the chunks of a stream."""
        key = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return {"Accept-Encoding": "identity", **key, **self.headers}

    @property
    def ssl(self) -> ssl.SSLContext | bool:
        """How certificates are verified, as aiohttp takes it; ConfigError for a bad CA file."""
        return _trusting(self.verify) if isinstance(self.verify, str) else self.verify


@lru_cache  # one context per file: connections are pooled by context
def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ConfigError(f"verify: {ca_file}: not a PEM file of certificates") from None
    except OSError as error:
        raise ConfigError(f"verify: {ca_file}: {error.strerror}") from None


def base_url(text: str) -> str:
    """Return the base of both APIs from what users know of it; ValueError says what is wrong.

    Accepts host:port without a scheme, and URLs with /v1, /api, or an endpoint at the end.
    """
    with suppress(ValueError):
        text = f"[{IPv6Address(text.strip())}]"
    whole = text.strip() if "://" in text else f"http://{text.strip()}"
    parts = urlsplit(whole)
    try:
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # as name resolution does
    except UnicodeError:
        raise ValueError("no such host: a URL looks like http://127.0.0.1:11434") from None
    except ValueError:
        ipv6 = parts.netloc.count(":") > 1 and "[" not in parts.netloc
        problem = "IPv6 needs brackets, as [::1]:11434" if ipv6 else "invalid port"
        raise ValueError(f"{problem}: a URL looks like http://127.0.0.1:11434") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"unknown scheme {parts.scheme}: use http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with credentials: use api_key_env or headers")
    if not host or port == 0 or re.search(r"[\s\\]", whole):
        raise ValueError("no host: a URL looks like http://127.0.0.1:11434")
    if parts.query or parts.fragment:
        raise ValueError("a base URL has no ? and no #")
    return _ENDPOINT.sub("", whole).rstrip("/")


def host_of(url: str) -> tuple[str, str | None]:
    """Return scheme and host of a URL: the ports of a host share its keys."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname
