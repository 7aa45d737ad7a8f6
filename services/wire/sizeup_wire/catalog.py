"""The catalogue: which models exist, what people call them, where their replicas are.

One schema for the ladder the CLI ships, for the file `sizeup up` writes for the gateway and for
the ConfigMap of the chart. Reading the YAML is the caller's business.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator

from sizeup_wire.message import RequestModel

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(?:[/:][A-Za-z0-9_][A-Za-z0-9_.-]{0,79}){0,3}")
"""Ollama's grammar, [host/][namespace/]model[:tag], each part at most 80 characters."""

_HUB_HOSTS = ("hf.co/", "huggingface.co/")
_QUANTIZATION_SUFFIX = re.compile(r"-(?:q\d[a-z0-9_]{0,12}|fp16|bf16)$")
"""Ollama tags name a quantization (q4_K_M); here dtype is the deployment's choice, so it is
ignored. Bounded, since replies repeat a name as it was written in every chunk."""


_DNS_LABEL = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
"""Names of Kubernetes Services (RFC 1035)."""
_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
"""Names of Kubernetes Deployments (RFC 1123)."""


class ScaleToZero(RequestModel):
    """How a model comes and goes with its use."""

    deployment: str = Field(pattern=_DNS_SUBDOMAIN)
    """Kubernetes Deployment that is scaled between 0 and 1."""
    keep_alive_seconds: float = 300.0
    """Default residence after the last answer, Ollama's own; negative is for ever. Its processes
    have it as a setting."""
    startup_seconds: float = Field(600.0, gt=0)
    """How long it may go without coming any nearer to being ready before it is given up. Loading
    the weights is one such stretch; the default is the chart's for a size it does not know."""


class CatalogEntry(RequestModel):
    """One model: its identity, its names, and where it is served."""

    id: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?$")
    """Hugging Face id (`Qwen/Qwen1.5-0.5B-Chat`), or a bare name for a local folder."""
    names: tuple[str, ...] = Field(min_length=1)
    """Public names with tags; the first is the one listed."""
    revision: str | None = None
    parameters: int | None = Field(None, gt=0)
    """Approximate, for people choosing a size before anything is loaded."""
    replicas: tuple[str, ...] = ()
    """Base URLs of inference processes, where these do not change."""
    service: str | None = Field(None, pattern=_DNS_LABEL)
    """Kubernetes Service of the gateway's namespace whose EndpointSlices hold the replicas."""
    scale_to_zero: ScaleToZero | None = None
    """None keeps the model resident."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.replicas and self.service:
            raise ValueError("replicas and service exclude each other")
        if self.scale_to_zero and not self.service:
            raise ValueError("scale_to_zero needs a service")
        return self


class Catalog(RequestModel):
    """Models by key; the key is used in logs, metrics and Kubernetes names."""

    models: Mapping[str, CatalogEntry]


def is_legal_name(name: str) -> bool:
    """Tell whether a name follows Ollama's grammar; anything else cannot name a model."""
    return _NAME.fullmatch(name) is not None


class NameIndex:
    """Find models by any name people use for them, case-insensitively.

    The order is: exact name, name with `:latest` added, name with `:latest` taken away,
    Hugging Face id (with or without hf.co/), name without a quantization suffix.
    """

    def __init__(self, catalog: Catalog) -> None:
        """Index every name and id; raise ValueError when two models claim the same one."""
        self._keys: dict[str, str] = {}
        for key, entry in catalog.models.items():
            for name in (key, *entry.names, entry.id):
                taken = self._keys.setdefault(name.lower(), key)
                if taken != key:
                    raise ValueError(f"models {taken!r} and {key!r} both answer to {name!r}")

    def find(self, name: str) -> str | None:
        """Return the key of the model that answers to a name, or None."""
        return next((self._keys[c] for c in _candidates(name.lower()) if c in self._keys), None)


def _candidates(name: str) -> Iterator[str]:
    for host in _HUB_HOSTS:
        name = name.removeprefix(host)
    yield name
    if ":" not in name:
        yield f"{name}:latest"
    yield name.removesuffix(":latest")
    yield _QUANTIZATION_SUFFIX.sub("", name)
