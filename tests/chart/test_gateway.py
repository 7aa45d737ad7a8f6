"""The gateway's memory, its Service and its route."""

from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    EXTENDED,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    of_kind,
    render,
)
from chart.validation import KUBERNETES, validate
from sizeup_gateway.settings import Settings

MIB = 2**20


def gateway(values: dict[str, Any]) -> Json:
    """Return the gateway's container."""
    deployment = named(render(values), "Deployment", "sizeup-gateway")
    (found,) = containers(deployment["spec"]["template"])
    return found


def gateway_variables(values: dict[str, Any]) -> dict[str, Any]:
    return environment(gateway(values))


def with_memory(limit: str | int, **limits: int) -> dict[str, Any]:
    return {"gateway": {"resources": {"limits": {"memory": limit}}, "limits": limits}}


def test_memory_limits_of_bodies_and_responses() -> None:
    variables = environment(gateway({}))
    assert variables["SIZEUP_GATEWAY_MAX_BODIES_BYTES"] == str(256 * MIB)
    assert variables["SIZEUP_GATEWAY_MAX_RESPONSES_BYTES"] == str(128 * MIB)
    assert gateway({})["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"memory": "1Gi"},
    }


@pytest.mark.parametrize(("limit", "mebibytes"), [("511Mi", 511), ("0.4Gi", 410), (2**28, 256)])
def test_memory_below_the_limits_is_rejected(limit: str | int, mebibytes: int) -> None:
    with pytest.raises(RenderError, match=rf"limits\.memory is {mebibytes}Mi, .* 512Mi"):
        render(with_memory(limit))


@pytest.mark.parametrize("limit", ["512Mi", "1Gi"])
def test_sufficient_memory_is_accepted(limit: str) -> None:
    assert render(with_memory(limit))
    assert render(with_memory("256Mi", bodiesMiB=64, responsesMiB=64))


def test_smallest_limits_admit_one_body_and_one_response() -> None:
    fields = Settings.model_fields
    assert fields["max_body_bytes"].default == 20 * MIB
    assert fields["max_response_bytes"].default == 64 * MIB
    assert render(with_memory("1Gi", bodiesMiB=20, responsesMiB=64))
    for less in ({"bodiesMiB": 19}, {"responsesMiB": 63}):
        with pytest.raises(RenderError, match="schema"):
            render(with_memory("1Gi", **less))


def test_created_models_are_in_a_config_map_without_data() -> None:
    name = gateway_variables({})["SIZEUP_GATEWAY_CREATED_MODELS_CONFIG_MAP"]
    assert "data" not in named(render({}), "ConfigMap", name)


def test_created_models_can_be_disabled() -> None:
    values = {"gateway": {"createdModels": {"enabled": False}}}
    assert "SIZEUP_GATEWAY_CREATED_MODELS_CONFIG_MAP" not in gateway_variables(values)
    names = {one["metadata"]["name"] for one in of_kind(render(values), "ConfigMap")}
    assert names == {"sizeup-models"}


def test_load_balancer_values() -> None:
    spec = named(render(EXTENDED), "Service", "sizeup-gateway")["spec"]
    assert spec["loadBalancerClass"] == "example.com/internal"
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8", "fd00::/8"]
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["ports"][0]["nodePort"] == 30434


@pytest.mark.parametrize(
    ("service", "field"),
    [
        ({"nodePort": 30434}, "nodePort"),
        ({"externalTrafficPolicy": "Local"}, "externalTrafficPolicy"),
        ({"loadBalancerClass": "a/b"}, "loadBalancerClass"),
        (
            {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "loadBalancerSourceRanges",
        ),
    ],
)
def test_service_field_of_another_type_is_rejected(service: dict[str, Any], field: str) -> None:
    with pytest.raises(RenderError, match=rf"gateway\.service\..*{field}"):
        render({"gateway": {"service": service}, "auth": {"allowAnonymous": True}})


def test_route_timeout_covers_activation_and_request() -> None:
    def timeout(values: dict[str, Any]) -> str:
        (route,) = of_kind(render(merge(EVERYTHING, {"gateway": values})), "HTTPRoute")
        (rule,) = route["spec"]["rules"]
        return str(rule["timeouts"]["request"])

    assert timeout({}) == "2400s"
    assert timeout({"activation": {"seconds": 1800}}) == "3600s"
    assert timeout({"httpRoute": {"requestTimeout": "90s"}}) == "90s"
    assert Settings.model_fields["total_seconds"].default == 1800


@pytest.mark.parametrize(
    ("limits", "variables"),
    [
        ({}, {}),
        ({"requestsPerMinute": 0}, {}),
        ({"requestsPerMinute": 60}, {"SIZEUP_GATEWAY_REQUESTS_PER_MINUTE": "60"}),
        (
            {"tokensPerMinute": 100_000_000, "concurrentRequests": 4},
            {
                "SIZEUP_GATEWAY_TOKENS_PER_MINUTE": "100000000",
                "SIZEUP_GATEWAY_CONCURRENT_REQUESTS": "4",
            },
        ),
    ],
)
def test_limits_of_clients(limits: dict[str, int], variables: dict[str, str]) -> None:
    suffixes = ("_PER_MINUTE", "_CONCURRENT_REQUESTS")
    found = environment(gateway({"gateway": {"clientLimits": limits}}))
    assert {n: v for n, v in found.items() if n.endswith(suffixes)} == variables


def test_origins_are_a_list_or_what_the_gateway_reads() -> None:
    origins = ["https://chat.example.com", "https://*.example.org"]
    for value in (origins, ",".join(origins)):
        variables = gateway_variables({"gateway": {"origins": value}})
        assert variables["SIZEUP_GATEWAY_ORIGINS"] == ",".join(origins)


def test_idle_connections_outlive_those_of_load_balancers() -> None:
    """Google's close after 600 s."""
    assert int(gateway_variables({})["SIZEUP_GATEWAY_IDLE_CONNECTION_SECONDS"]) > 600


@pytest.mark.parametrize("origin", ["chat.example", "https://chat.example/", "https://*/chat"])
@pytest.mark.parametrize("form", [list, ", ".join])
def test_what_is_no_origin_is_rejected(origin: str, form: Any) -> None:
    with pytest.raises(RenderError, match=r"gateway\.origins"):
        render({"gateway": {"origins": form(["https://*.example.com", origin])}})


def test_a_disruption_budget_is_a_number_or_a_percentage() -> None:
    for unavailable in (1, "50%"):
        budget = {"podDisruptionBudget": {"maxUnavailable": unavailable}}
        (found,) = of_kind(render({"gateway": budget}), "PodDisruptionBudget")
        assert found["spec"]["maxUnavailable"] == unavailable
        validate(found, KUBERNETES[-1])
