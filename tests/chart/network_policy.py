"""Evaluates NetworkPolicies as Kubernetes documents them, without a cluster."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a connection: a pod by its labels, or an address outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "models"
    address: str | None = None

    @property
    def is_pod(self) -> bool:
        """Whether policies can select it."""
        return self.address is None


def allows(policies: Iterable[Json], start: Place, end: Place, port: int, protocol: str) -> bool:
    """Whether egress policies of `start` and ingress policies of `end` allow a connection."""
    listed = list(policies)
    return _permitted(listed, "Egress", start, end, port, protocol) and _permitted(
        listed, "Ingress", end, start, port, protocol
    )


def _permitted(
    policies: list[Json], direction: str, end: Place, other: Place, port: int, protocol: str
) -> bool:
    """Whether the policies of one end permit the other end; without a policy everything is."""
    if not end.is_pod:
        return True
    chosen = [p for p in policies if direction in p["spec"]["policyTypes"] and _selects(p, end)]
    rules = [rule for p in chosen for rule in p["spec"].get(direction.lower(), [])]
    peers = "to" if direction == "Egress" else "from"
    return not chosen or any(
        _has_port(rule, port, protocol) and _has_peer(rule.get(peers), other) for rule in rules
    )


def _selects(policy: Json, place: Place) -> bool:
    inside = policy["metadata"]["namespace"] == place.namespace
    return inside and _matches(policy["spec"]["podSelector"], place.labels)


def _has_port(rule: Json, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        p.get("protocol", "TCP") == protocol and p.get("port", port) == port for p in ports
    )


def _has_peer(peers: list[Json] | None, place: Place) -> bool:
    """A missing or empty list of peers matches all."""
    return not peers or any(_is_peer(peer, place) for peer in peers)


def _is_peer(peer: Json, place: Place) -> bool:
    if block := peer.get("ipBlock"):
        return _in_block(block, place)
    if not place.is_pod:
        return False
    if "namespaceSelector" in peer:
        names = {"kubernetes.io/metadata.name": place.namespace}
        if not _matches(peer["namespaceSelector"], names):
            return False
    elif place.namespace != "models":
        return False
    return _matches(peer.get("podSelector", {}), place.labels)


def _in_block(block: Json, place: Place) -> bool:
    if place.address is None:
        return False
    address = ipaddress.ip_address(place.address)
    within = [address in ipaddress.ip_network(c) for c in (block["cidr"], *block.get("except", []))]
    return within[0] and not any(within[1:])


def _matches(selector: Json, labels: Mapping[str, str]) -> bool:
    if unknown := selector.keys() - {"matchLabels", "matchExpressions"}:
        raise ValueError(f"unknown selector fields {unknown}")
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: list[Json] = selector.get("matchExpressions") or []
    return wanted.items() <= labels.items() and all(_holds(e, labels) for e in expressions)


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case _:
            return value is None
