from typing import Any

import pytest
import yaml

from chart.rendering import EVERYTHING, VARIANTS, RenderError, identity, of_kind, pods, render
from sizeup_wire.catalog import Catalog, NameIndex

LONGEST = 63
"""Limit of a label value, and so of every name that is used as one."""


def test_prefix_is_the_release_name() -> None:
    def gateway(release: str, values: dict[str, Any]) -> str:
        objects = of_kind(render(values, release), "Deployment")
        return str(objects[0]["metadata"]["name"])

    assert gateway("sizeup", {}) == "sizeup-gateway"
    assert gateway("my-sizeup", {}) == "my-sizeup-gateway"
    assert gateway("llm", {}) == "llm-sizeup-gateway"
    assert gateway("llm", {"fullnameOverride": "ladder"}) == "ladder-gateway"


def test_long_name_is_rejected() -> None:
    values = {"models": {"a" * 40: {"id": "Qwen/Qwen1.5-0.5B-Chat"}}}
    assert render(values, "sizeup")
    with pytest.raises(RenderError, match=r"the limit is 63"):
        render(values, "a-release-whose-name-is-long")


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_labels_are_within_the_limit(variant: str) -> None:
    for one in render(VARIANTS[variant]):
        labels = one["metadata"]["labels"]
        assert [v for v in (one["metadata"]["name"], *labels.values()) if len(v) > LONGEST] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_catalog_is_valid_for_the_gateway(variant: str) -> None:
    catalog = catalog_of(VARIANTS[variant])
    enabled = {
        key for key, m in VARIANTS[variant].get("models", {}).items() if m.get("enabled", True)
    }
    assert set(catalog.models) == enabled
    NameIndex(catalog)


def test_catalog_entry_of_a_model() -> None:
    model = catalog_of(EVERYTHING).models["scaled"]
    assert model.service == "sizeup-scaled"
    assert model.scale_to_zero is not None
    assert model.scale_to_zero.deployment == "sizeup-scaled"
    assert model.scale_to_zero.keep_alive_seconds == 90
    assert model.scale_to_zero.startup_seconds == 120 + 73 * 60
    assert model.parameters == 72_300_000_000
    assert model.names == ("qwen:72b", "qwen:72b-chat")
    assert catalog_of(EVERYTHING).models["middle"].scale_to_zero is None


def test_services_and_deployments_of_the_catalog_exist() -> None:
    rendered = {identity(one) for one in render(EVERYTHING)}
    for model in catalog_of(EVERYTHING).models.values():
        assert ("Service", model.service) in rendered
        if model.scale_to_zero:
            assert ("Deployment", model.scale_to_zero.deployment) in rendered


@pytest.mark.parametrize(
    ("written", "seconds"), [(30, 30), ("45", 45), ("45s", 45), ("5m", 300), ("2h", 7200), (0, 0)]
)
def test_keep_alive_accepts_seconds_and_durations(written: Any, seconds: int) -> None:
    model = {"id": "Qwen/Qwen1.5-0.5B-Chat", "scaleToZero": {"enabled": True, "keepAlive": written}}
    scaled = catalog_of({"models": {"a": model}}).models["a"].scale_to_zero
    assert scaled is not None
    assert scaled.keep_alive_seconds == seconds


@pytest.mark.parametrize(
    "second",
    [
        {"id": "Qwen/Qwen1.5-0.5B-Chat"},
        {"id": "a/b", "names": ["QWEN:0.5b"]},
        {"id": "a/b", "names": ["library/qwen:0.5b"]},
        {"id": "a/b", "names": ["registry.ollama.ai/library/qwen:0.5b"]},
        {"id": "a/b", "names": ["hf.co/Qwen/Qwen1.5-0.5B-Chat"]},
    ],
)
def test_duplicate_model_name_is_rejected(second: dict[str, Any]) -> None:
    values = {"models": {"first": {"id": "Qwen/Qwen1.5-0.5B-Chat"}, "second": second}}
    with pytest.raises(RenderError, match=r"models\.first and models\.second have the same name"):
        render(values)


@pytest.mark.parametrize("key", ["gateway", "gateway-metrics", "mirror"])
def test_reserved_model_key_is_rejected(key: str) -> None:
    with pytest.raises(RenderError, match=rf"models\.{key}: .*sizeup-{key} "):
        render({"models": {key: {"id": "Qwen/Qwen1.5-0.5B-Chat"}}})


@pytest.mark.parametrize("variant", VARIANTS)
def test_selectors_match_only_their_own_pods(variant: str) -> None:
    objects = render(VARIANTS[variant])
    for one in of_kind(objects, "Deployment"):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        selected = [n for n, pod in pods(objects) if wanted <= pod["metadata"]["labels"].items()]
        assert selected == ["/".join(identity(one))]


def catalog_of(values: dict[str, Any]) -> Catalog:
    """Return the catalog, parsed as the gateway parses it."""
    (config,) = [
        o for o in of_kind(render(values), "ConfigMap") if o["metadata"]["name"] == "sizeup-models"
    ]
    return Catalog.model_validate(yaml.safe_load(config["data"]["models.yaml"]))


@pytest.mark.parametrize("release", ["1st", "qwen.models"])
def test_a_release_name_that_services_cannot_have_is_rejected(release: str) -> None:
    """Helm accepts it, and the API server would reject the Services alone."""
    with pytest.raises(RenderError, match="fullnameOverride"):
        render(EVERYTHING, release=release)
    assert render({**EVERYTHING, "fullnameOverride": "qwen"}, release=release)
