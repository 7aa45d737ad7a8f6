"""EndpointSlices -> the addresses of each Service. Pure.

A Service has one or more slices. An endpoint can be in two of them while it moves, and a pod of a
dual-stack Service has an address of each family; either way a pod is one replica.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import AliasPath, BaseModel, Field

from sizeup_gateway.cluster.api import Json

PORT_NAME = "http"
"""The port of inference's internal API; pods have other ports as well."""

_SERVICE_LABEL = "kubernetes.io/service-name"
_FAMILIES = ("IPv4", "IPv6")
"""In order of preference; the third address type, FQDN, is for endpoints outside the cluster."""


class _Endpoint(BaseModel):
    addresses: tuple[str, ...]
    terminating: bool | None = Field(None, validation_alias=AliasPath("conditions", "terminating"))
    pod: str | None = Field(None, validation_alias=AliasPath("targetRef", "uid"))


class _Port(BaseModel):
    name: str | None = None
    port: int | None = None


class _Slice(BaseModel):
    """The part of an EndpointSlice that is used; null stands for Go's empty list."""

    name: str = Field(validation_alias=AliasPath("metadata", "name"))
    service: str = Field("", validation_alias=AliasPath("metadata", "labels", _SERVICE_LABEL))
    family: str = Field(validation_alias="addressType")
    endpoints: tuple[_Endpoint, ...] | None = None
    ports: tuple[_Port, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Address:
    """One address of one pod."""

    pod: str
    """uid of the pod; the URL if the endpoint has no pod."""
    family: str
    url: str
    terminating: bool


class Endpoints:
    """The addresses of every Service, from its slices."""

    def __init__(self) -> None:
        self._slices: dict[str, tuple[str, tuple[_Address, ...]]] = {}
        """Service and addresses, by name of the slice."""

    def replace(self, slices: Iterable[Json]) -> None:
        """Replace all slices; raise ValueError for an invalid one."""
        self._slices = dict(map(_read, slices))

    def set(self, item: Json) -> None:
        """Add or update a slice; raise ValueError if it is invalid."""
        self._slices.update([_read(item)])

    def remove(self, item: Json) -> None:
        self._slices.pop(_Slice.model_validate(item).name, None)

    def urls(self, service: str) -> tuple[str, ...]:
        """Return one base URL per pod of a Service, without terminating pods, in stable order."""
        found = [
            a for owner, addresses in self._slices.values() if owner == service for a in addresses
        ]
        terminating = {address.pod for address in found if address.terminating}
        by_pod: dict[str, str] = {}
        for address in sorted(found, key=lambda a: (_FAMILIES.index(a.family), a.url)):
            if address.pod not in terminating:
                by_pod.setdefault(address.pod, address.url)
        return tuple(dict.fromkeys(by_pod.values()))


def _read(item: Json) -> tuple[str, tuple[str, tuple[_Address, ...]]]:
    found = _Slice.model_validate(item)
    port = next((p.port for p in found.ports or () if p.name == PORT_NAME), None)
    if port is None or found.family not in _FAMILIES:
        return found.name, (found.service, ())
    addresses = [_address(found.family, port, e) for e in found.endpoints or () if e.addresses]
    return found.name, (found.service, tuple(addresses))


def _address(family: str, port: int, endpoint: _Endpoint) -> _Address:
    """Use the first address: all belong to one pod, and kube-proxy uses no other either."""
    ip = ipaddress.ip_address(endpoint.addresses[0])
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    url = f"http://{host}:{port}"
    return _Address(endpoint.pod or url, family, url, endpoint.terminating is True)
