"""Models that files/ladder.yaml does not have: nothing about them is guessed."""

from pathlib import Path
from typing import Any

import pytest

from chart.rendering import Json, RenderError, containers, named, notes, of_kind, render

TUNED = {"id": "acme/qwen2.5-7b-support", "profile": "gpu-24g"}
PER_MODEL: Json = {"modelCache": {"mode": "perModel"}}
EPHEMERAL: Json = {"modelCache": {"mode": "ephemeral"}}


def deployment(model: dict[str, Any], **values: Any) -> Json:
    """Return the Deployment of one model."""
    objects = render({"models": {"one": {**TUNED, **model}}, **values})
    return named(objects, "Deployment", "sizeup-one")


def claim_gib(model: dict[str, Any]) -> int:
    """Return the size of the volume of one model."""
    objects = render({"models": {"one": {**TUNED, **model}}, **PER_MODEL})
    (claim,) = of_kind(objects, "PersistentVolumeClaim")
    return int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))


def start_seconds(model: dict[str, Any]) -> int:
    """Return the budget of the startup probe."""
    probe = containers(deployment(model)["spec"]["template"])[-1]["startupProbe"]
    return int(probe["failureThreshold"] * probe["periodSeconds"])


@pytest.mark.parametrize(
    ("model", "gib"),
    [
        ({}, 22),
        ({"profile": "gpu-80g:4"}, 316),
        ({"profile": "cpu"}, 6),
        ({"gpuMemoryGiB": 5}, 5),
        # Files of two bytes a parameter, which take 0.75 and 1.15 when they are loaded.
        ({"quantization": "int4"}, 22 * 2 / 0.75),
        ({"quantization": "int8"}, 22 * 2 / 1.15),
        ({"dtype": "float32"}, 22),
    ],
)
def test_volume_and_start_are_for_the_largest_that_fits(model: dict[str, Any], gib: float) -> None:
    assert claim_gib(model) == pytest.approx(1.2 * gib, abs=1)
    assert start_seconds(model) == pytest.approx(120 + 60 * gib * 2**30 / 2e9, abs=60)
    seconds = deployment(model)["spec"]["progressDeadlineSeconds"]
    assert seconds >= start_seconds(model) + gib * 2**30 / 1e7


def test_a_pod_is_not_evicted_for_its_weights() -> None:
    made = deployment({"profile": "gpu-80g:4"}, **EPHEMERAL)["spec"]["template"]
    (volume,) = [v for v in made["spec"]["volumes"] if v["name"] == "models"]
    assert volume["emptyDir"] == {"sizeLimit": "380Gi"}


def test_with_its_parameters_it_is_a_known_model(tmp_path: Path) -> None:
    known = {"parameters": 7_620_000_000}
    assert claim_gib(known) == 18
    assert start_seconds(known) == 600
    assert "is unknown" not in notes({"models": {"one": {**TUNED, **known}}}, tmp_path)


def test_the_notes_say_what_bounds_it(tmp_path: Path) -> None:
    text = notes({"models": {"one": TUNED}}, tmp_path)
    assert "models.one.parameters" in text
    assert "22 GiB" in text


def test_without_a_bound_its_parameters_are_required() -> None:
    profiles = {"cpu": {"resources": {"limits": {"memory": None}}}}
    with pytest.raises(RenderError, match=r"models\.one\.parameters"):
        deployment({"profile": "cpu"}, profiles=profiles)
    assert deployment({"profile": "cpu", "engine": "fake"}, profiles=profiles)
    assert deployment({"profile": "cpu", "parameters": 1_000_000}, profiles=profiles)


def test_a_draft_of_unknown_size_is_within_the_memory_too() -> None:
    large = {"id": "Qwen/Qwen2.5-7B-Instruct", "profile": "gpu-48g", "draft": "small"}
    values = {"models": {"one": large, "small": {"id": "acme/draft", "profile": "gpu-24g"}}}
    made = named(render(values), "Deployment", "sizeup-one")
    probe = containers(made["spec"]["template"])[-1]["startupProbe"]
    assert probe["failureThreshold"] * 5 == pytest.approx(120 + 60 * 44 * 2**30 / 2e9, abs=60)


def test_a_fake_model_has_no_weights() -> None:
    assert start_seconds({"engine": "fake"}) == 120
    assert deployment({"engine": "fake"})["spec"]["progressDeadlineSeconds"] == 420
