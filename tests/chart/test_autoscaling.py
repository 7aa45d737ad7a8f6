"""The number of replicas: fixed, by the load, by an autoscaler of the operator's own, and zero."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import promql
from chart.rendering import (
    SCALED,
    VARIANTS,
    Json,
    RenderError,
    merge,
    named,
    notes,
    of_kind,
    render,
    upgraded,
)
from chart.test_monitoring import declared
from sizeup_wire.catalog import Autoscaling, Catalog, CatalogEntry, ScaleToZero

QWEN = {"id": "Qwen/Qwen1.5-0.5B-Chat"}


def one(**values: Any) -> Json:
    return {"models": {"one": {**QWEN, **values}}}


def catalog(values: Json) -> Json:
    found = named(render(values), "ConfigMap", "sizeup-models")
    parsed: Json = yaml.safe_load(found["data"]["models.yaml"])
    return parsed


def entry(key: str, values: Json = SCALED) -> CatalogEntry:
    """Return a model's entry in the catalog."""
    return Catalog.model_validate(catalog(values)).models[key]


def spec(key: str, objects: list[Json] | None = None) -> Json:
    found: Json = named(objects or render(SCALED), "Deployment", f"sizeup-{key}")["spec"]
    return found


@pytest.mark.parametrize(
    ("key", "replicas"),
    [("several", 3), ("ours", None), ("foreign", None), ("sleeping", 0), ("both", 0)],
)
def test_replicas_that_others_choose_are_left_out(key: str, replicas: int | None) -> None:
    assert spec(key).get("replicas") == replicas
    assert ("replicas" in spec(key)) == (replicas is not None)


@pytest.mark.parametrize(
    ("key", "live", "rendered"),
    [
        ("several", 7, 3),
        *(("ours", live, max(2, min(live, 4))) for live in (0, 1, 3, 9)),
        *(("foreign", live, live) for live in (0, 1, 9)),
        *(("sleeping", live, 4 if live else 0) for live in (0, 1, 4)),
        *(("both", live, min(live, 3)) for live in (0, 1, 3, 9)),
    ],
)
def test_an_upgrade_keeps_the_present_count_within_the_limits(
    key: str, live: int, rendered: int, tmp_path: Path
) -> None:
    """A Deployment whose `replicas` is removed is scaled to one."""
    known = {f"sizeup-{key}": {"spec": {"replicas": live}}}
    assert spec(key, upgraded(SCALED, known, tmp_path))["replicas"] == rendered


def test_catalog() -> None:
    assert entry("several").scaled_deployment is None
    assert entry("foreign").scaled_deployment is None
    assert entry("ours").scale_to_zero is None
    assert entry("ours").autoscaling == Autoscaling(
        deployment="sizeup-ours",
        min_replicas=2,
        max_replicas=4,
        target_requests=64,
        stabilization_seconds=300,
    )
    assert entry("sleeping").autoscaling is None
    assert entry("sleeping").scale_to_zero == ScaleToZero(
        deployment="sizeup-sleeping", replicas=4, startup_seconds=600
    )
    both = entry("both")
    assert both.autoscaling is not None
    assert both.autoscaling.target_requests == 2.5
    assert both.autoscaling.stabilization_seconds == 90
    assert both.scale_to_zero is not None
    assert both.scale_to_zero.replicas == 1


def test_catalog_without_these_values_is_that_of_the_earlier_release() -> None:
    """A running gateway of that release rejects keys that it does not know."""
    text = named(render(VARIANTS["everything"]), "ConfigMap", "sizeup-models")["data"][
        "models.yaml"
    ]
    models = yaml.safe_load(text)["models"]
    assert "autoscaling" not in {key for model in models.values() for key in model}
    assert models["scaled"]["scale_to_zero"].keys() == {
        "deployment",
        "keep_alive_seconds",
        "startup_seconds",
    }


@pytest.mark.parametrize(("concurrency", "target"), [(256, 64), (8, 2), (3, 1), (1, 1)])
def test_the_default_target_is_a_quarter_of_the_concurrency(concurrency: int, target: int) -> None:
    values = one(limits={"concurrency": concurrency}, autoscaling={"maxReplicas": 2})
    found = entry("one", values).autoscaling
    assert found is not None
    assert found.target_requests == target


def test_the_gateway_may_scale_these_deployments_only() -> None:
    (role,) = of_kind(render(SCALED), "Role")
    (names,) = [r["resourceNames"] for r in role["rules"] if "deployments/scale" in r["resources"]]
    assert set(names) == {"sizeup-ours", "sizeup-sleeping", "sizeup-both"}


def test_several_replicas_are_replaced_one_by_one_and_have_a_disruption_budget() -> None:
    budgets = {o["metadata"]["name"] for o in of_kind(render(SCALED), "PodDisruptionBudget")}
    assert budgets == {"sizeup-gateway", *(f"sizeup-{key}" for key in SCALED["models"])}
    for key in ("ours", "foreign", "sleeping", "both"):
        assert spec(key)["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("values", [{"autoscaling": {"maxReplicas": 1}}, {"replicas": 1}])
def test_one_replica_on_a_gpu_is_recreated(values: Json) -> None:
    objects = render(one(profile="gpu-24g", maxModelLen=2048, **values))
    assert spec("one", objects)["strategy"] == {"type": "Recreate"}
    assert len(of_kind(objects, "PodDisruptionBudget")) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (one(replicas=2, autoscaling={"maxReplicas": 4}), r"models\.one has replicas and autosc"),
        (one(autoscaling={"minReplicas": 3, "maxReplicas": 2}), r"models\.one\..* at least 3"),
        ({"gateway": {"autoscaling": {"enabled": True, "minReplicas": 8}}}, r"gateway\.a.* 8"),
        ({"gateway": {"autoscaling": {"enabled": True}, "resources": None}}, r"requests\.cpu"),
    ],
)
def test_contradictions_are_rejected(values: Json, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(values)


def test_limits_of_a_disabled_autoscaler_are_not_checked() -> None:
    assert render({"gateway": {"autoscaling": {"minReplicas": 8}}})


@pytest.mark.parametrize(
    ("below", "above", "replicas"),
    [
        ({"replicas": 3}, {"replicas": None, "autoscaling": {"maxReplicas": 4}}, None),
        ({"autoscaling": {"maxReplicas": 4}}, {"autoscaling": None, "replicas": 2}, 2),
        ({"autoscaling": {"maxReplicas": 4}}, {"autoscaling": None}, 1),
    ],
)
def test_null_overrides_another_values_file(below: Json, above: Json, replicas: int | None) -> None:
    objects = render(merge(one(**below), one(**above)))
    assert spec("one", objects).get("replicas") == replicas


@pytest.mark.parametrize(
    ("key", "cost", "shown"),
    [
        ("several", "0.00", "x 3"),
        ("ours", "3.00", "x 2 to 4 (up to 6.00)"),
        ("foreign", "1.50", "per replica"),
        ("sleeping", "8.00", "x 4  (scaled to zero"),
        ("both", "2.00", "x 1 to 3 (up to 6.00)  (scaled to zero"),
    ],
)
def test_notes_show_the_cost_of_the_fewest_replicas(
    key: str, cost: str, shown: str, tmp_path: Path
) -> None:
    (line,) = [text for text in notes(SCALED, tmp_path).splitlines() if text.startswith(f"{key} ")]
    before, _, after = line.partition(f" {cost}")
    assert len(before.split()) == 8
    assert after.strip().startswith(shown)


def test_keda_scales_a_deployment_whose_replicas_are_left_out() -> None:
    objects = render(merge(VARIANTS["gpu"], VARIANTS["keda"]))
    (scaled,) = of_kind(objects, "ScaledObject")
    deployment = named(objects, "Deployment", scaled["spec"]["scaleTargetRef"]["name"])
    assert "replicas" not in deployment["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    query = promql.parse(trigger["metadata"]["query"])
    assert promql.series_of(query) == {
        "sizeup_inference_requests_running",
        "sizeup_inference_requests_waiting",
    }
    promql.labels_of(query, declared())
    size = deployment["metadata"]["labels"]["sizeup.dev/model"]
    assert trigger["metadata"]["query"].count(f'{{namespace="models", size="{size}"}}') == 2
    (monitor,) = of_kind(objects, "PodMonitor")
    relabelings = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]
    assert "size" in {one["targetLabel"] for one in relabelings}
