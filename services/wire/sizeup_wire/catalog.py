"""The model catalog: which models exist, their names and where their replicas are.

One schema for the catalog shipped with the CLI, the file `sizeup up` writes for the gateway and
the chart's ConfigMap. Callers read the YAML.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from sizeup_wire.message import RequestModel
from sizeup_wire.model import ModelInfo
from sizeup_wire.names import has_tag, shortest_name

_QUANTIZATION_SUFFIX = re.compile(r"[-:](?:q\d[a-z0-9_]{0,12}|fp16|bf16)$")
"""Ollama tags name a quantization (q4_K_M), those of Hugging Face ids nothing else. Here the
deployment chooses the dtype, so the suffix is ignored. Bounded, since every chunk of a response
repeats the name as the client wrote it."""

_DNS_LABEL = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
"""Names of Kubernetes Services (RFC 1035)."""
_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
"""Names of Kubernetes Deployments (RFC 1123)."""


class ScaleToZero(RequestModel):
    """Scale-to-zero of one model."""

    deployment: str = Field(pattern=_DNS_SUBDOMAIN)
    """What is scaled to and from 0: a Kubernetes Deployment, or a process of `sizeup up`."""
    replicas: int = Field(1, ge=1)
    """Started by the first request; a process of `sizeup up` is one."""
    keep_alive_seconds: float = 300.0
    """Default time the model stays loaded after its last use, as in Ollama; negative is unlimited.
    Its inference processes have it as a setting."""
    startup_seconds: float = Field(gt=0)
    """Startup budget: scaled down again after this long without progress towards ready. Loading the
    weights counts as one step, so the budget depends on the model's size."""


class Autoscaling(RequestModel):
    """Autoscaling of one model by its load, as by a HorizontalPodAutoscaler."""

    deployment: str = Field(pattern=_DNS_SUBDOMAIN)
    """A Kubernetes Deployment."""
    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(ge=1)
    target_requests: float = Field(gt=0)
    """Of running and waiting requests, per replica."""
    stabilization_seconds: float = Field(300.0, ge=0)
    """Scaled in to the most replicas that the load required within this time."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas exceeds max_replicas")
        return self


class Download(RequestModel):
    """The rollout of a model that is paused until Jobs have downloaded its weights."""

    deployment: str = Field(pattern=_DNS_SUBDOMAIN)
    """The Kubernetes Deployment, whose annotation names the Jobs."""


class Price(RequestModel):
    """What one replica costs."""

    per_hour: float = Field(gt=0, le=1e6)
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    """ISO 4217."""


class CatalogEntry(RequestModel):
    """One model: its id, its names and where it is served."""

    id: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?$")
    """Hugging Face id (`Qwen/Qwen1.5-0.5B-Chat`), or a bare name for a local folder."""
    names: tuple[str, ...] = Field(min_length=1)
    """Public names with tags; the first one is listed."""
    revision: str | None = None
    draft: str | None = Field(None, min_length=1)
    """Name of a smaller model of the same vocabulary, which drafts tokens for this one in its
    process; `sizeup up` reads it."""
    parameters: int | None = Field(None, gt=0)
    """Approximate; shown before the model is loaded."""
    price: Price | None = None
    """Of a replica; comparisons show it as the cost of an answer."""
    replicas: tuple[str, ...] = ()
    """Base URLs of inference processes with fixed addresses."""
    service: str | None = Field(None, pattern=_DNS_LABEL)
    """Kubernetes Service in the gateway's namespace whose EndpointSlices list the replicas."""
    scale_to_zero: ScaleToZero | None = None
    """None keeps the model loaded."""
    autoscaling: Autoscaling | None = None
    """None leaves the number of replicas to others."""
    download: Download | None = None
    """None for a model whose rollout is never paused."""
    info: ModelInfo | None = None
    """The model by its files, where the writer of the catalog can read them: shown until a
    process describes it."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.replicas and self.service:
            raise ValueError("replicas and service are mutually exclusive")
        if self.scale_to_zero and not (self.service or self.replicas):
            raise ValueError("scale_to_zero requires service or replicas")
        if self.autoscaling and not self.service:
            raise ValueError("autoscaling requires service")
        if len({scaling.deployment for scaling in self._scalings}) > 1:
            raise ValueError("scale_to_zero and autoscaling name different deployments")
        if self.download and not self.service:
            raise ValueError("download requires service")
        return self

    @property
    def scaled_deployment(self) -> str | None:
        """What the gateway scales; None if the model is not scaled."""
        return next((scaling.deployment for scaling in self._scalings), None)

    @property
    def _scalings(self) -> Sequence[ScaleToZero | Autoscaling]:
        return [scaling for scaling in (self.scale_to_zero, self.autoscaling) if scaling]


class Catalog(RequestModel):
    """Models by key; the key is used in logs, metrics and Kubernetes names."""

    models: Mapping[str, CatalogEntry]


class NameIndex:
    """Look up models by any of their names or their Hugging Face id, case-insensitively.

    Tried in order: the shortest form of the name, plus `:latest`, minus `:latest`, without a
    quantization suffix.
    """

    def __init__(self, catalog: Catalog) -> None:
        """Index every name and id; raise ValueError if two models share one."""
        self._keys: dict[str, str] = {}
        for key, entry in catalog.models.items():
            for name in (key, *entry.names, entry.id):
                taken = self._keys.setdefault(shortest_name(name).lower(), key)
                if taken != key:
                    raise ValueError(f"models {taken!r} and {key!r} share the name {name!r}")

    def find(self, name: str) -> str | None:
        short = shortest_name(name).lower()
        return next((self._keys[c] for c in _candidates(short) if c in self._keys), None)


def _candidates(name: str) -> Iterator[str]:
    yield name
    if not has_tag(name):
        yield f"{name}:latest"
    yield name.removesuffix(":latest")
    yield _QUANTIZATION_SUFFIX.sub("", name)
