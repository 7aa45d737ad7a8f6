from typing import Any

import pytest

from chart.network_policy import Place, allows
from chart.rendering import EVERYTHING, VARIANTS, Json, merge, of_kind, pods, render

INTERNET = Place(address="203.0.113.7")
INTERNET_6 = Place(address="2001:db8::7")
METADATA = Place(address="169.254.169.254")
METADATA_6 = Place(address="fd00:ec2::254")
API_SERVER = Place(address="10.96.0.1")
API_SERVER_6 = Place(address="fd00:10:96::1")
DNS = Place({"k8s-app": "kube-dns"}, "kube-system")
PROMETHEUS = Place({"app.kubernetes.io/name": "prometheus"}, "monitoring")
OTHER_POD = Place({"app": "other"}, "models")
OTHER_NAMESPACE = Place({"app": "other"}, "elsewhere")

Flow = tuple[str, str, int, str]

INTENDED: list[Flow] = [
    ("other pod", "gateway", 11434, "TCP"),
    ("other namespace", "gateway", 11434, "TCP"),
    ("internet", "gateway", 11434, "TCP"),
    ("test", "gateway", 11434, "TCP"),
    ("loadtest", "gateway", 11434, "TCP"),
    ("gateway", "inference", 8080, "TCP"),
    ("gateway", "download", 8080, "TCP"),  # its progress
    ("gateway", "api server", 443, "TCP"),
    ("gateway", "api server", 6443, "TCP"),
    ("gateway", "api server 6", 443, "TCP"),
    ("download", "internet 6", 443, "TCP"),
    ("download", "mirror", 8090, "TCP"),
    ("download", "internet", 443, "TCP"),
    ("download", "internet", 8443, "TCP"),  # huggingface.endpoint's own port
    ("download", "internet", 3128, "TCP"),  # of the proxies
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
    *(
        (source, "inference", 8080, "TCP")
        for source in ("other pod", "other namespace", "internet", "test")
    ),
    *((source, "inference", 8080, "TCP") for source in ("download", "mirror", "prometheus")),
    ("gateway", "inference", 9090, "TCP"),
    ("gateway", "internet", 80, "TCP"),
    ("gateway", "mirror", 8090, "TCP"),
    *(
        (source, "gateway", 9090, "TCP")
        for source in ("other pod", "other namespace", "internet", "test")
    ),
    *((source, "download", 9090, "TCP") for source in ("other pod", "gateway", "inference")),
    *((source, "download", 8080, "TCP") for source in ("other pod", "prometheus", "inference")),
    ("download", "metadata", 443, "TCP"),
    ("download", "metadata 6", 443, "TCP"),
    ("download", "internet", 80, "TCP"),
    ("download", "gateway", 11434, "TCP"),
    ("download", "inference", 8080, "TCP"),
    *((source, "mirror", 8090, "TCP") for source in ("other pod", "gateway", "internet", "test")),
    ("mirror", "internet", 443, "TCP"),
    ("mirror", "dns", 53, "UDP"),
    ("test", "internet", 443, "TCP"),
    ("test", "inference", 8080, "TCP"),
    *(("loadtest", to, 443, "TCP") for to in ("internet", "api server", "metadata")),
    ("loadtest", "inference", 8080, "TCP"),
    ("loadtest", "mirror", 8090, "TCP"),
    ("loadtest", "gateway", 9090, "TCP"),
    *((source, "loadtest", 9090, "TCP") for source in ("other pod", "prometheus", "gateway")),
]


def places(objects: list[Json]) -> dict[str, Place]:
    """Return the endpoints: the pods of the chart by component, and others."""
    ours = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: Place(pod["metadata"]["labels"])
        for _, pod in pods(objects)
    }
    others = {"internet": INTERNET, "metadata": METADATA, "api server": API_SERVER, "dns": DNS}
    others |= {"internet 6": INTERNET_6, "metadata 6": METADATA_6, "api server 6": API_SERVER_6}
    foreign = {"prometheus": PROMETHEUS, "other pod": OTHER_POD, "other namespace": OTHER_NAMESPACE}
    return {**ours, **others, **foreign}


def allowed(values: dict[str, Any], flow: Flow) -> bool:
    """Whether the rendered policies allow a connection."""
    objects = render(values)
    start, end, port, protocol = flow
    known = places(objects)
    policies = of_kind(objects, "NetworkPolicy")
    return allows(policies, known[start], known[end], port, protocol)


@pytest.mark.parametrize("flow", INTENDED, ids=str)
def test_intended(flow: Flow) -> None:
    assert allowed(EVERYTHING, flow)


@pytest.mark.parametrize("flow", FORBIDDEN, ids=str)
def test_forbidden(flow: Flow) -> None:
    assert not allowed(EVERYTHING, flow)


@pytest.mark.parametrize(
    "flow", [f for f in FORBIDDEN if f[1:] != ("gateway", 443, "TCP")], ids=str
)
def test_without_policies_forbidden_flows_pass(flow: Flow) -> None:
    """Proves that the policies forbid the flows, not the evaluator."""
    assert allowed({**EVERYTHING, "networkPolicy": {"enabled": False}}, flow)


def test_gateway_clients_can_be_restricted() -> None:
    front = {"podSelector": {"matchLabels": {"app": "other"}}}
    values = merge(EVERYTHING, {"networkPolicy": {"gatewayFrom": [front]}})
    assert allowed(values, ("other pod", "gateway", 11434, "TCP"))
    assert allowed(values, ("test", "gateway", 11434, "TCP"))
    assert allowed(values, ("loadtest", "gateway", 11434, "TCP"))
    assert not allowed(values, ("other namespace", "gateway", 11434, "TCP"))
    assert not allowed(values, ("internet", "gateway", 11434, "TCP"))


def test_airgap_has_no_egress() -> None:
    values = VARIANTS["airgap"]
    assert allowed(values, ("download", "mirror", 8090, "TCP"))
    for source in ("download", "inference", "mirror", "test"):
        for port in (80, 443, 8443):
            assert not allowed(values, (source, "internet", port, "TCP"))


def test_disabled_mirror_opens_no_ports() -> None:
    policies = of_kind(render(VARIANTS["gpu"]), "NetworkPolicy")
    download = next(p for p in policies if p["metadata"]["name"] == "sizeup-download")
    assert {port["port"] for rule in download["spec"]["egress"] for port in rule["ports"]} == {
        53,
        443,
    }


def test_ephemeral_cache_opens_the_hub_only() -> None:
    values = VARIANTS["ephemeral"]
    assert allowed(values, ("inference", "internet", 443, "TCP"))
    assert allowed(values, ("inference", "mirror", 8090, "TCP"))
    assert allowed(values, ("inference", "dns", 53, "UDP"))
    assert not allowed(values, ("inference", "internet", 80, "TCP"))
    assert not allowed(values, ("inference", "metadata", 443, "TCP"))


def blocks(values: dict[str, Any]) -> dict[str, Json]:
    """Return the ipBlocks that downloads may connect to, by CIDR."""
    policies = of_kind(render(values), "NetworkPolicy")
    download = next(p for p in policies if p["metadata"]["name"] == "sizeup-download")
    found = [peer.get("ipBlock") for rule in download["spec"]["egress"] for peer in rule["to"]]
    return {block["cidr"]: block for block in found if block}


def test_ip_blocks_and_their_exceptions() -> None:
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


def test_dns_port_can_be_changed() -> None:
    values = merge(EVERYTHING, {"networkPolicy": {"dnsPort": 5353}})
    assert allowed(values, ("gateway", "dns", 5353, "UDP"))
    assert not allowed(values, ("gateway", "dns", 53, "UDP"))


def test_minikube_api_server_port_is_open() -> None:
    assert allowed(VARIANTS["minikube"], ("gateway", "api server", 8443, "TCP"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_default_deny_covers_every_pod(variant: str) -> None:
    objects = render(VARIANTS[variant])
    denying = next(p for p in of_kind(objects, "NetworkPolicy") if "deny" in p["metadata"]["name"])
    assert set(denying["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert denying["spec"].keys() == {"podSelector", "policyTypes"}
    for name, pod in pods(objects):
        wanted = denying["spec"]["podSelector"]["matchLabels"].items()
        assert wanted <= pod["metadata"]["labels"].items(), name
