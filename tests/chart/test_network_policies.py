from typing import Any

import pytest

from chart.network_policy import Place, allows
from chart.rendering import EVERYTHING, VARIANTS, Json, of_kind, over, pods, render

INTERNET = Place(address="203.0.113.7")
INTERNET_6 = Place(address="2001:db8::7")
METADATA = Place(address="169.254.169.254")
METADATA_6 = Place(address="fd00:ec2::254")
API_SERVER = Place(address="10.96.0.1")
API_SERVER_6 = Place(address="fd00:10:96::1")
DNS = Place({"k8s-app": "kube-dns"}, "kube-system")
PROMETHEUS = Place({"app.kubernetes.io/name": "prometheus"}, "monitoring")
STRANGER = Place({"app": "stranger"}, "models")
FOREIGNER = Place({"app": "foreigner"}, "elsewhere")

Flow = tuple[str, str, int, str]

INTENDED: list[Flow] = [
    ("stranger", "gateway", 11434, "TCP"),
    ("foreigner", "gateway", 11434, "TCP"),
    ("internet", "gateway", 11434, "TCP"),
    ("test", "gateway", 11434, "TCP"),
    ("loadtest", "gateway", 11434, "TCP"),
    ("gateway", "inference", 8080, "TCP"),
    ("gateway", "api server", 443, "TCP"),
    ("gateway", "api server", 6443, "TCP"),
    ("gateway", "api server 6", 443, "TCP"),
    ("download", "internet 6", 443, "TCP"),
    ("download", "mirror", 8090, "TCP"),
    ("download", "internet", 443, "TCP"),
    ("download", "internet", 8443, "TCP"),  # huggingface.endpoint's own port
    ("download", "internet", 3128, "TCP"),  # the proxy's
    *(("prometheus", pod, 9090, "TCP") for pod in ("gateway", "inference", "download")),
    *((pod, "dns", 53, "UDP") for pod in ("gateway", "download", "test", "loadtest")),
    *((pod, "dns", 53, "TCP") for pod in ("gateway", "download", "test", "loadtest")),
]
FORBIDDEN: list[Flow] = [
    *(("inference", to, 443, "TCP") for to in ("internet", "api server", "metadata", "gateway")),
    ("inference", "dns", 53, "UDP"),
    ("inference", "mirror", 8090, "TCP"),
    ("inference", "inference", 8080, "TCP"),
    ("inference", "gateway", 11434, "TCP"),
    *((who, "inference", 8080, "TCP") for who in ("stranger", "foreigner", "internet", "test")),
    *((who, "inference", 8080, "TCP") for who in ("download", "mirror", "prometheus")),
    ("gateway", "inference", 9090, "TCP"),
    ("gateway", "internet", 80, "TCP"),
    ("gateway", "mirror", 8090, "TCP"),
    *((who, "gateway", 9090, "TCP") for who in ("stranger", "foreigner", "internet", "test")),
    *((who, "download", 9090, "TCP") for who in ("stranger", "gateway", "inference")),
    ("download", "metadata", 443, "TCP"),
    ("download", "metadata 6", 443, "TCP"),
    ("download", "internet", 80, "TCP"),
    ("download", "gateway", 11434, "TCP"),
    ("download", "inference", 8080, "TCP"),
    *((who, "mirror", 8090, "TCP") for who in ("stranger", "gateway", "internet", "test")),
    ("mirror", "internet", 443, "TCP"),
    ("mirror", "dns", 53, "UDP"),
    ("test", "internet", 443, "TCP"),
    ("test", "inference", 8080, "TCP"),
    *(("loadtest", to, 443, "TCP") for to in ("internet", "api server", "metadata")),
    ("loadtest", "inference", 8080, "TCP"),
    ("loadtest", "mirror", 8090, "TCP"),
    ("loadtest", "gateway", 9090, "TCP"),
    *((who, "loadtest", 9090, "TCP") for who in ("stranger", "prometheus", "gateway")),
]


def places(objects: list[Json]) -> dict[str, Place]:
    """Return who there is: the chart's own pods by component, and others."""
    ours = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: Place(pod["metadata"]["labels"])
        for _, pod in pods(objects)
    }
    others = {"internet": INTERNET, "metadata": METADATA, "api server": API_SERVER, "dns": DNS}
    others |= {"internet 6": INTERNET_6, "metadata 6": METADATA_6, "api server 6": API_SERVER_6}
    strangers = {"prometheus": PROMETHEUS, "stranger": STRANGER, "foreigner": FOREIGNER}
    return {**ours, **others, **strangers}


def allowed(values: dict[str, Any], flow: Flow) -> bool:
    """Tell whether the chart with these values lets a connection through."""
    objects = render(values)
    start, end, port, protocol = flow
    there = places(objects)
    policies = of_kind(objects, "NetworkPolicy")
    return allows(policies, there[start], there[end], port, protocol)


@pytest.mark.parametrize("flow", INTENDED, ids=str)
def test_intended(flow: Flow) -> None:
    assert allowed(EVERYTHING, flow)


@pytest.mark.parametrize("flow", FORBIDDEN, ids=str)
def test_forbidden(flow: Flow) -> None:
    assert not allowed(EVERYTHING, flow)


@pytest.mark.parametrize(
    "flow", [f for f in FORBIDDEN if f[1:] != ("gateway", 443, "TCP")], ids=str
)
def test_without_policies_the_forbidden_would_pass(flow: Flow) -> None:
    """It is the policies that forbid, not the evaluator."""
    assert allowed({**EVERYTHING, "networkPolicy": {"enabled": False}}, flow)


def test_callers_of_the_gateway_can_be_named() -> None:
    front = {"podSelector": {"matchLabels": {"app": "stranger"}}}
    values = over(EVERYTHING, {"networkPolicy": {"gatewayFrom": [front]}})
    assert allowed(values, ("stranger", "gateway", 11434, "TCP"))
    assert allowed(values, ("test", "gateway", 11434, "TCP"))
    assert allowed(values, ("loadtest", "gateway", 11434, "TCP"))
    assert not allowed(values, ("foreigner", "gateway", 11434, "TCP"))
    assert not allowed(values, ("internet", "gateway", 11434, "TCP"))


def test_without_a_network_nothing_leaves_the_cluster() -> None:
    values = VARIANTS["airgap"]
    assert allowed(values, ("download", "mirror", 8090, "TCP"))
    for who in ("download", "inference", "mirror", "test"):
        for port in (80, 443, 8443):
            assert not allowed(values, (who, "internet", port, "TCP"))


def test_a_mirror_that_is_off_opens_nothing() -> None:
    policies = of_kind(render(VARIANTS["gpu"]), "NetworkPolicy")
    download = next(p for p in policies if p["metadata"]["name"] == "sizeup-download")
    assert {port["port"] for rule in download["spec"]["egress"] for port in rule["ports"]} == {
        53,
        443,
    }


def test_pods_that_download_for_themselves_may_reach_the_hub_and_no_more() -> None:
    values = VARIANTS["ephemeral"]
    assert allowed(values, ("inference", "internet", 443, "TCP"))
    assert allowed(values, ("inference", "mirror", 8090, "TCP"))
    assert allowed(values, ("inference", "dns", 53, "UDP"))
    assert not allowed(values, ("inference", "internet", 80, "TCP"))
    assert not allowed(values, ("inference", "metadata", 443, "TCP"))


def blocks(values: dict[str, Any]) -> dict[str, Json]:
    """Return the blocks of addresses that downloads may reach, by cidr."""
    policies = of_kind(render(values), "NetworkPolicy")
    download = next(p for p in policies if p["metadata"]["name"] == "sizeup-download")
    found = [peer.get("ipBlock") for rule in download["spec"]["egress"] for peer in rule["to"]]
    return {block["cidr"]: block for block in found if block}


def test_blocks_have_the_exceptions_they_are_given() -> None:
    assert blocks({}) == {
        "0.0.0.0/0": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]},
        "::/0": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]},
    }
    half = {"cidr": "128.0.0.0/1", "except": ["169.254.0.0/16"]}
    download = {"cidrs": ["203.0.113.0/24", half]}
    assert blocks({"networkPolicy": {"download": download}}) == {
        "203.0.113.0/24": {"cidr": "203.0.113.0/24"},
        "128.0.0.0/1": half,
    }


def test_resolvers_may_listen_on_another_port() -> None:
    values = over(EVERYTHING, {"networkPolicy": {"dnsPort": 5353}})
    assert allowed(values, ("gateway", "dns", 5353, "UDP"))
    assert not allowed(values, ("gateway", "dns", 53, "UDP"))


def test_minikubes_api_server_is_reached() -> None:
    assert allowed(VARIANTS["minikube"], ("gateway", "api server", 8443, "TCP"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_is_denied_both_ways_by_default(variant: str) -> None:
    objects = render(VARIANTS[variant])
    denying = next(p for p in of_kind(objects, "NetworkPolicy") if "deny" in p["metadata"]["name"])
    assert set(denying["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert denying["spec"].keys() == {"podSelector", "policyTypes"}
    for name, pod in pods(objects):
        wanted = denying["spec"]["podSelector"]["matchLabels"].items()
        assert wanted <= pod["metadata"]["labels"].items(), name
