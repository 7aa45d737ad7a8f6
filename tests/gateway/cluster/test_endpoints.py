"""EndpointSlices -> addresses."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.fake_cluster import endpoint, endpoint_slice
from sizeup_gateway.cluster.endpoints import Endpoints


def known(*slices: dict[str, Any]) -> Endpoints:
    endpoints = Endpoints()
    endpoints.replace(slices)
    return endpoints


def test_the_slices_of_a_service_are_one_list() -> None:
    endpoints = known(
        endpoint_slice("x-1", "x", [endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "b")]),
        endpoint_slice("x-2", "x", [endpoint("10.0.0.3", "c")], port=9000),
        endpoint_slice("y-1", "y", [endpoint("10.0.0.4", "d")]),
    )
    assert endpoints.urls("x") == (
        "http://10.0.0.1:8080",
        "http://10.0.0.2:8080",
        "http://10.0.0.3:9000",
    )
    assert endpoints.urls("y") == ("http://10.0.0.4:8080",)
    assert endpoints.urls("z") == ()


def test_an_endpoint_that_moves_between_slices_counts_once() -> None:
    moving = endpoint("10.0.0.1", "a")
    endpoints = known(endpoint_slice("1", "x", [moving]), endpoint_slice("2", "x", [moving]))
    assert endpoints.urls("x") == ("http://10.0.0.1:8080",)


def test_a_terminating_pod_is_excluded_whichever_slice_has_it() -> None:
    old, new = endpoint("10.0.0.1", "a"), endpoint("10.0.0.1", "a", terminating=True)
    for slices in ([old, new], [new, old]):
        endpoints = known(*[endpoint_slice(f"{i}", "x", [e]) for i, e in enumerate(slices)])
        assert endpoints.urls("x") == ()


def test_a_new_pod_may_reuse_the_address_of_a_terminating_one() -> None:
    old, new = endpoint("10.0.0.1", "a", terminating=True), endpoint("10.0.0.1", "b")
    assert known(endpoint_slice("1", "x", [old, new])).urls("x") == ("http://10.0.0.1:8080",)


def test_a_pod_with_two_families_is_one_replica() -> None:
    endpoints = known(
        endpoint_slice("6", "x", [endpoint("fd00::1", "a")], family="IPv6"),
        endpoint_slice("4", "x", [endpoint("10.0.0.1", "a")]),
    )
    assert endpoints.urls("x") == ("http://10.0.0.1:8080",)


def test_an_ipv6_address_is_bracketed() -> None:
    endpoints = known(endpoint_slice("6", "x", [endpoint("FD00:0::1", "a")], family="IPv6"))
    assert endpoints.urls("x") == ("http://[fd00::1]:8080",)


def test_other_endpoints_are_ignored() -> None:
    named = endpoint_slice("1", "x", [endpoint("10.0.0.1", "a")])
    named["ports"] = [{"name": "metrics", "port": 9090}]
    portless = endpoint_slice("2", "x", [endpoint("10.0.0.2", "b")])
    portless["ports"] = None
    outside = endpoint_slice("3", "x", [endpoint("example.org", "c")], family="FQDN")
    empty = endpoint_slice("4", "x")
    unlabelled = endpoint_slice("5", "x", [endpoint("10.0.0.5", "e")])
    unlabelled["metadata"]["labels"] = None
    assert known(named, portless, outside, empty, unlabelled).urls("x") == ()


def test_an_endpoint_without_conditions_and_pod_is_a_replica() -> None:
    bare = {"addresses": ["10.0.0.1"]}
    assert known(endpoint_slice("1", "x", [bare])).urls("x") == ("http://10.0.0.1:8080",)


def test_slices_are_added_changed_and_removed() -> None:
    endpoints = known(endpoint_slice("1", "x", [endpoint("10.0.0.1", "a")]))
    endpoints.set(endpoint_slice("2", "x", [endpoint("10.0.0.2", "b")]))
    endpoints.set(endpoint_slice("1", "x", [endpoint("10.0.0.3", "c")]))
    assert endpoints.urls("x") == ("http://10.0.0.2:8080", "http://10.0.0.3:8080")
    endpoints.remove(endpoint_slice("1", "x"))
    endpoints.remove(endpoint_slice("never", "x"))
    assert endpoints.urls("x") == ("http://10.0.0.2:8080",)
    endpoints.replace([])
    assert endpoints.urls("x") == ()


def test_an_invalid_slice_is_rejected_and_changes_nothing() -> None:
    endpoints = known(endpoint_slice("1", "x", [endpoint("10.0.0.1", "a")]))
    with pytest.raises(ValidationError):
        endpoints.replace([{"kind": "Pod"}])
    with pytest.raises(ValueError, match="does not appear to be"):
        endpoints.set(endpoint_slice("1", "x", [endpoint("not an address", "a")]))
    assert endpoints.urls("x") == ("http://10.0.0.1:8080",)
