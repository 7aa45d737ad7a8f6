"""The Job that compares the models."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    EVERYTHING,
    MEASURED,
    VARIANTS,
    Json,
    RenderError,
    environment,
    merge,
    named,
    notes,
    of_kind,
    render,
)
from sizeup_loadtest import main as command_line
from sizeup_loadtest.config import file as config_file

SINGLE: Json = {"models": {"small": {"id": "Qwen/Qwen1.5-0.5B-Chat", "maxModelLen": 2048}}}


def job(values: dict[str, Any]) -> Json:
    """Return the Job."""
    (found,) = [
        one
        for one in of_kind(render(values), "Job")
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "loadtest"
    ]
    return found


def container(values: dict[str, Any]) -> Json:
    """Return the Job's container."""
    (found,) = job(values)["spec"]["template"]["spec"]["containers"]
    assert found["command"] == ["sizeup-bench"]
    return dict(found)


def test_load_test_is_opt_in() -> None:
    assert [one for one in render(SINGLE) if "loadtest" in one["metadata"]["name"]] == []


def test_models_are_measured_by_their_public_names() -> None:
    found = container(EVERYTHING)
    models = "--models=fake,qwen:7b,qwen:72b,qwen:0.5b"
    assert found["args"] == [
        "run",
        "--scenario=size-sweep",
        models,
        "--out=/runs/$(POD_NAME)",
        "--print-files",
    ]
    assert environment(found)["SIZEUP_URL"] == "http://sizeup-gateway:11434"


def test_own_config_and_volume() -> None:
    spec, found = job(VARIANTS["measured"])["spec"], container(VARIANTS["measured"])
    assert found["args"] == [
        "run",
        "--config=/etc/sizeup-loadtest/loadtest.yaml",
        "--out=/runs/$(POD_NAME)",
    ]
    volumes = {v["name"]: v for v in spec["template"]["spec"]["volumes"]}
    assert volumes["runs"]["persistentVolumeClaim"] == {"claimName": "runs"}


def test_config_is_taken_from_the_values(tmp_path: Path) -> None:
    volumes = job(VARIANTS["measured"])["spec"]["template"]["spec"]["volumes"]
    (name,) = [v["configMap"]["name"] for v in volumes if v["name"] == "config"]
    text = named(render(VARIANTS["measured"]), "ConfigMap", name)["data"]["loadtest.yaml"]
    assert yaml.safe_load(text) == MEASURED["config"]
    (tmp_path / "loadtest.yaml").write_text(text)
    config = config_file.load(str(tmp_path / "loadtest.yaml"))
    assert [model.name for model in config.models] == ["qwen:0.5b", "qwen:7b"]
    assert config.load.stage_seconds == 30


@pytest.mark.parametrize("values", [EVERYTHING, VARIANTS["measured"]], ids=["scenario", "config"])
def test_arguments_are_valid(
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command fails at the server, which does not exist."""
    (tmp_path / "loadtest.yaml").write_text(json.dumps(MEASURED["config"]))
    (tmp_path / "keys").write_text("secret\n")
    monkeypatch.setenv("SIZEUP_URL", "http://127.0.0.1:9")
    if "SIZEUP_API_KEY_FILE" in environment(container(values)):
        monkeypatch.setenv("SIZEUP_API_KEY_FILE", str(tmp_path / "keys"))
    replacements = {
        "/runs": str(tmp_path),
        "/etc/sizeup-loadtest": str(tmp_path),
        "$(POD_NAME)": "pod",
    }
    arguments = container(values)["args"]
    for place, replacement in replacements.items():
        arguments = [argument.replace(place, replacement) for argument in arguments]
    app = command_line.build()
    code = command_line.run(lambda: app(arguments, standalone_mode=False))
    capsys.readouterr()
    assert code == 1


def test_job_runs_once_and_is_bounded() -> None:
    spec = job(EVERYTHING)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 60 * 60
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_resources_are_guaranteed_and_pods_avoid_inference_nodes() -> None:
    resources = container(EVERYTHING)["resources"]
    assert resources["requests"] == resources["limits"] == {"cpu": "1", "memory": "512Mi"}
    pod = job(EVERYTHING)["spec"]["template"]["spec"]
    (away,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    chosen = away["podAffinityTerm"]["labelSelector"]["matchLabels"].items()
    for model in ("small", "scaled"):
        deployment = named(render(EVERYTHING), "Deployment", f"sizeup-{model}")
        assert chosen <= deployment["spec"]["template"]["metadata"]["labels"].items()
    own = merge(EVERYTHING, {"loadtest": {"affinity": {"nodeAffinity": {}}}})
    assert job(own)["spec"]["template"]["spec"]["affinity"] == {"nodeAffinity": {}}


def test_changed_values_start_a_new_run() -> None:
    def name(more: Json) -> str:
        return str(job(merge(EVERYTHING, {"loadtest": more}))["metadata"]["name"])

    assert name({}) == name({})
    config = {"config": {"models": ["a"]}}
    assert len({name({}), name({"run": "again"}), name({"scenario": "rag"}), name(config)}) == 4


def test_load_test_requires_a_model() -> None:
    with pytest.raises(RenderError, match=r"loadtest\.models"):
        render({"loadtest": {"enabled": True}})
    assert render({"loadtest": {"enabled": True, "models": ["elsewhere"]}})


def test_notes_locate_the_report(tmp_path: Path) -> None:
    text = notes(EVERYTHING, tmp_path / "log")
    assert "app.kubernetes.io/component=loadtest --tail=-1 | sizeup-bench extract" in text
    assert "runs to runs:" in notes(VARIANTS["measured"], tmp_path / "volume")
    assert "load test" not in notes(SINGLE, tmp_path / "none")
