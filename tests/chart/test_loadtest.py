"""The Job that compares the sizes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    EVERYTHING,
    SHARDS,
    VARIANTS,
    Json,
    RefusedError,
    environment,
    named,
    notes,
    of_kind,
    over,
    render,
)
from sizeup_loadtest import main as command_line
from sizeup_loadtest.config import file as config_file

SIZE: Json = {"models": {"small": {"id": "Qwen/Qwen1.5-0.5B-Chat", "maxModelLen": 2048}}}


def job(values: dict[str, Any]) -> Json:
    """Return the Job."""
    (found,) = [
        one
        for one in of_kind(render(values), "Job")
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "loadtest"
    ]
    return found


def container(values: dict[str, Any]) -> Json:
    """Return its one container."""
    (found,) = job(values)["spec"]["template"]["spec"]["containers"]
    assert found["command"] == ["sizeup-bench"]
    return dict(found)


def test_nothing_measures_unless_it_is_asked_for() -> None:
    assert [one for one in render(SIZE) if "loadtest" in one["metadata"]["name"]] == []


def test_every_size_is_measured_by_its_public_name() -> None:
    found = container(EVERYTHING)
    models = "--models=qwen:7b,pretender,qwen:72b,qwen:0.5b"
    assert found["args"] == [
        "run",
        "--scenario=size-sweep",
        models,
        "--out=/runs/$(POD_NAME)",
        "--print-files",
    ]
    assert environment(found)["SIZEUP_URL"] == "http://sizeup-gateway:11434"


def test_several_pods_share_a_config_and_a_start() -> None:
    spec, found = job(VARIANTS["shards"])["spec"], container(VARIANTS["shards"])
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert found["args"] == [
        "run",
        "--config=/etc/sizeup-loadtest/loadtest.yaml",
        "--shards=4",
        "--start-at=1900000000",
        "--out=/runs/$(POD_NAME)",
    ]
    volumes = {v["name"]: v for v in spec["template"]["spec"]["volumes"]}
    assert volumes["runs"]["persistentVolumeClaim"] == {"claimName": "runs"}


def test_the_config_is_the_one_in_the_values(tmp_path: Path) -> None:
    volumes = job(VARIANTS["shards"])["spec"]["template"]["spec"]["volumes"]
    (name,) = [v["configMap"]["name"] for v in volumes if v["name"] == "config"]
    text = named(render(VARIANTS["shards"]), "ConfigMap", name)["data"]["loadtest.yaml"]
    assert yaml.safe_load(text) == SHARDS["config"]
    (tmp_path / "loadtest.yaml").write_text(text)
    config = config_file.load(str(tmp_path / "loadtest.yaml"))
    assert [model.name for model in config.models] == ["qwen:0.5b", "qwen:7b"]
    assert config.load.stage_seconds == 30


@pytest.mark.parametrize("values", [EVERYTHING, VARIANTS["shards"]], ids=["one", "shards"])
def test_the_command_line_understands_it(
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Up to the start, which is years away, or the server, which is not here."""
    (tmp_path / "loadtest.yaml").write_text(json.dumps(SHARDS["config"]))
    (tmp_path / "keys").write_text("secret\n")
    monkeypatch.setenv("SIZEUP_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    if "SIZEUP_API_KEY_FILE" in environment(container(values)):
        monkeypatch.setenv("SIZEUP_API_KEY_FILE", str(tmp_path / "keys"))
    places = {"/runs": str(tmp_path), "/etc/sizeup-loadtest": str(tmp_path), "$(POD_NAME)": "pod"}
    arguments = container(values)["args"]
    for there, here in places.items():
        arguments = [argument.replace(there, here) for argument in arguments]
    app = command_line.build()
    code = command_line.run(lambda: app(arguments, standalone_mode=False))
    told = capsys.readouterr().err
    assert (code, "common start" in told) == ((2, True) if values is not EVERYTHING else (1, False))


def test_it_is_one_measurement_that_ends() -> None:
    spec = job(EVERYTHING)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 60 * 60
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_nobody_takes_what_it_needs_and_it_takes_nothing_of_the_sizes() -> None:
    resources = container(EVERYTHING)["resources"]
    assert resources["requests"] == resources["limits"] == {"cpu": "1", "memory": "512Mi"}
    pod = job(EVERYTHING)["spec"]["template"]["spec"]
    (away,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    chosen = away["podAffinityTerm"]["labelSelector"]["matchLabels"].items()
    for size in ("small", "sleeper"):
        deployment = named(render(EVERYTHING), "Deployment", f"sizeup-{size}")
        assert chosen <= deployment["spec"]["template"]["metadata"]["labels"].items()
    own = over(EVERYTHING, {"loadtest": {"affinity": {"nodeAffinity": {}}}})
    assert job(own)["spec"]["template"]["spec"]["affinity"] == {"nodeAffinity": {}}


def test_changed_values_are_another_run_and_the_same_are_none() -> None:
    def name(more: Json) -> str:
        return str(job(over(EVERYTHING, {"loadtest": more}))["metadata"]["name"])

    assert name({}) == name({})
    config = {"config": {"models": ["a"]}}
    assert len({name({}), name({"run": "again"}), name({"scenario": "rag"}), name(config)}) == 4


@pytest.mark.parametrize("missing", ["startAt", "config"])
def test_shards_without_a_common_time_are_refused(missing: str) -> None:
    loadtest = {key: value for key, value in SHARDS.items() if key != missing}
    with pytest.raises(RefusedError, match="keep in step"):
        render({**SIZE, "loadtest": loadtest})


def test_without_a_size_there_is_nothing_to_measure() -> None:
    with pytest.raises(RefusedError, match="no size to measure"):
        render({"loadtest": {"enabled": True}})
    assert render({"loadtest": {"enabled": True, "models": ["elsewhere"]}})


def test_the_notes_say_where_the_report_is(tmp_path: Path) -> None:
    said = notes(EVERYTHING, tmp_path / "log")
    assert "app.kubernetes.io/component=loadtest --tail=-1 | sizeup-bench extract" in said
    assert "has its runs in runs:" in notes(VARIANTS["shards"], tmp_path / "volume")
    assert "load test" not in notes(SIZE, tmp_path / "none")
