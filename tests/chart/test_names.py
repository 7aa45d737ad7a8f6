from typing import Any

import pytest
import yaml

from chart.rendering import EVERYTHING, VARIANTS, RefusedError, identity, of_kind, pods, render
from sizeup_wire.catalog import Catalog, NameIndex

LONGEST = 63
"""Of a label, and so of every name that becomes one."""


def test_the_prefix_is_the_release_when_it_says_sizeup() -> None:
    def gateway(release: str, values: dict[str, Any]) -> str:
        objects = of_kind(render(values, release), "Deployment")
        return str(objects[0]["metadata"]["name"])

    assert gateway("sizeup", {}) == "sizeup-gateway"
    assert gateway("my-sizeup", {}) == "my-sizeup-gateway"
    assert gateway("llm", {}) == "llm-sizeup-gateway"
    assert gateway("llm", {"fullnameOverride": "ladder"}) == "ladder-gateway"


def test_a_name_that_is_too_long_is_refused_and_not_cut() -> None:
    values = {"models": {"a" * 40: {"id": "Qwen/Qwen1.5-0.5B-Chat"}}}
    assert render(values, "sizeup")
    with pytest.raises(RefusedError, match=r"has \d+ characters and Kubernetes allows 63"):
        render(values, "a-release-whose-name-is-long")


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_labels_are_short_enough(variant: str) -> None:
    for one in render(VARIANTS[variant]):
        labels = one["metadata"]["labels"]
        assert [v for v in (one["metadata"]["name"], *labels.values()) if len(v) > LONGEST] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_catalogue_is_the_gateways(variant: str) -> None:
    catalog = catalogue(VARIANTS[variant])
    enabled = {
        key for key, m in VARIANTS[variant].get("models", {}).items() if m.get("enabled", True)
    }
    assert set(catalog.models) == enabled
    NameIndex(catalog)


def test_the_catalogue_says_where_a_size_is_and_how_it_sleeps() -> None:
    model = catalogue(EVERYTHING).models["sleeper"]
    assert model.service == "sizeup-sleeper"
    assert model.scale_to_zero is not None
    assert model.scale_to_zero.deployment == "sizeup-sleeper"
    assert model.scale_to_zero.keep_alive_seconds == 90
    assert model.scale_to_zero.startup_seconds == 120 + 73 * 60
    assert model.parameters == 72_300_000_000
    assert model.names == ("qwen:72b", "qwen:72b-chat")
    assert catalogue(EVERYTHING).models["middle"].scale_to_zero is None


def test_services_and_deployments_of_the_catalogue_exist() -> None:
    made = {identity(one) for one in render(EVERYTHING)}
    for model in catalogue(EVERYTHING).models.values():
        assert ("Service", model.service) in made
        if model.scale_to_zero:
            assert ("Deployment", model.scale_to_zero.deployment) in made


@pytest.mark.parametrize(
    ("written", "seconds"), [(30, 30), ("45", 45), ("45s", 45), ("5m", 300), ("2h", 7200), (0, 0)]
)
def test_keep_alive_is_seconds_or_a_duration(written: Any, seconds: int) -> None:
    model = {"id": "Qwen/Qwen1.5-0.5B-Chat", "scaleToZero": {"enabled": True, "keepAlive": written}}
    scaled = catalogue({"models": {"a": model}}).models["a"].scale_to_zero
    assert scaled is not None
    assert scaled.keep_alive_seconds == seconds


@pytest.mark.parametrize(
    "second", [{"id": "Qwen/Qwen1.5-0.5B-Chat"}, {"id": "a/b", "names": ["QWEN:0.5b"]}]
)
def test_two_sizes_cannot_claim_one_name(second: dict[str, Any]) -> None:
    values = {"models": {"first": {"id": "Qwen/Qwen1.5-0.5B-Chat"}, "second": second}}
    with pytest.raises(RefusedError, match="both answer to"):
        render(values)


@pytest.mark.parametrize("key", ["gateway", "gateway-metrics", "mirror"])
def test_a_size_cannot_have_the_name_of_a_part_of_the_chart(key: str) -> None:
    with pytest.raises(
        RefusedError, match=f"models.{key}: sizeup-{key} is the name of the chart's"
    ):
        render({"models": {key: {"id": "Qwen/Qwen1.5-0.5B-Chat"}}})


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_selector_takes_another_ones_pods(variant: str) -> None:
    objects = render(VARIANTS[variant])
    for one in of_kind(objects, "Deployment"):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        taken = [n for n, pod in pods(objects) if wanted <= pod["metadata"]["labels"].items()]
        assert taken == ["/".join(identity(one))]


def catalogue(values: dict[str, Any]) -> Catalog:
    """Return the catalogue as the gateway reads it."""
    (config,) = [
        o for o in of_kind(render(values), "ConfigMap") if o["metadata"]["name"] == "sizeup-models"
    ]
    return Catalog.model_validate(yaml.safe_load(config["data"]["models.yaml"]))
