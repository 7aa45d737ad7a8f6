"""The gateway's memory, its Service and its route."""

from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    Json,
    RefusedError,
    containers,
    environment,
    named,
    of_kind,
    over,
    render,
)
from sizeup_gateway.settings import Settings

MIB = 2**20


def gateway(values: dict[str, Any]) -> Json:
    """Return its container."""
    deployment = named(render(values), "Deployment", "sizeup-gateway")
    (found,) = containers(deployment["spec"]["template"])
    return found


def with_memory(limit: str | int, **limits: int) -> dict[str, Any]:
    return {"gateway": {"resources": {"limits": {"memory": limit}}, "limits": limits}}


def test_bodies_and_replies_are_bounded_below_its_memory() -> None:
    variables = environment(gateway({}))
    assert variables["SIZEUP_GATEWAY_MAX_BODIES_BYTES"] == str(256 * MIB)
    assert variables["SIZEUP_GATEWAY_MAX_REPLIES_BYTES"] == str(128 * MIB)
    assert gateway({})["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"memory": "1Gi"},
    }


@pytest.mark.parametrize(("limit", "read"), [("511Mi", 511), ("0.4Gi", 410), (2**28, 256)])
def test_less_memory_than_the_bounds_is_refused_with_the_numbers(
    limit: str | int, read: int
) -> None:
    with pytest.raises(RefusedError, match=rf"is {read}Mi, and the gateway needs 512Mi: 128 for"):
        render(with_memory(limit))


@pytest.mark.parametrize("limit", ["512Mi", "1Gi"])
def test_enough_memory_is_enough(limit: str) -> None:
    assert render(with_memory(limit))
    assert render(with_memory("256Mi", bodiesMiB=64, repliesMiB=64))


def test_the_least_bounds_let_one_body_and_one_reply_in() -> None:
    fields = Settings.model_fields
    assert fields["max_body_bytes"].default == 20 * MIB
    assert fields["max_reply_bytes"].default == 64 * MIB
    assert render(with_memory("1Gi", bodiesMiB=20, repliesMiB=64))
    for less in ({"bodiesMiB": 19}, {"repliesMiB": 63}):
        with pytest.raises(RefusedError, match="schema"):
            render(with_memory("1Gi", **less))


def test_a_load_balancer_is_as_the_values_say() -> None:
    spec = named(render(EXTENDED), "Service", "sizeup-gateway")["spec"]
    assert spec["loadBalancerClass"] == "example.com/internal"
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8", "fd00::/8"]
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["ports"][0]["nodePort"] == 30434


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"nodePort": 30434}, "nodePort needs"),
        ({"externalTrafficPolicy": "Local"}, "externalTrafficPolicy needs"),
        ({"loadBalancerClass": "a/b"}, "need type LoadBalancer"),
        (
            {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "need type LoadBalancer",
        ),
    ],
)
def test_what_the_type_of_a_service_has_no_use_for_is_refused(
    service: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        render({"gateway": {"service": service}, "auth": {"allowAnonymous": True}})


def test_a_route_waits_for_a_size_that_sleeps_and_then_for_its_answer() -> None:
    def timeout(values: dict[str, Any]) -> str:
        (route,) = of_kind(render(over(EVERYTHING, {"gateway": values})), "HTTPRoute")
        (rule,) = route["spec"]["rules"]
        return str(rule["timeouts"]["request"])

    assert timeout({}) == "2400s"
    assert timeout({"activation": {"seconds": 1800}}) == "3600s"
    assert timeout({"httpRoute": {"requestTimeout": "90s"}}) == "90s"
    assert Settings.model_fields["total_seconds"].default == 1800
