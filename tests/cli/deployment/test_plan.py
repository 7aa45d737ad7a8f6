import dataclasses
from pathlib import Path

import pytest
import yaml

from cli.models.toy_registry import registry
from sizeup.deployment.backoff import Policy
from sizeup.deployment.plan import (
    Options,
    plan_gateway,
    plan_inference,
    scale_name,
    write_catalog,
)
from sizeup_wire.catalog import Catalog, NameIndex


def options(tmp_path: Path, **environment: str) -> Options:
    return Options(
        host="0.0.0.0",
        port=11434,
        drain_seconds=3.0,
        log_level="info",
        log_dir=tmp_path,
        created_models=tmp_path / "created-models.json",
        engine="fake",
        environment=environment,
        restart=Policy(),
        threads=2,
    )


def test_the_environment_of_a_child(tmp_path: Path) -> None:
    model = registry(tmp_path).find("toy:5m")
    planned = plan_inference(model, 4242, options(tmp_path, PATH="/bin"))
    assert planned.url == "http://127.0.0.1:4242"
    assert planned.environment == {
        "PATH": "/bin",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "SIZEUP_INFERENCE_MODEL": str(tmp_path / "toys" / "toy-5m"),
        "SIZEUP_INFERENCE_MODEL_ID": "toy-5m",
        "SIZEUP_INFERENCE_HOST": "127.0.0.1",
        "SIZEUP_INFERENCE_PORT": "4242",
        "SIZEUP_INFERENCE_ENGINE": "fake",
        "SIZEUP_INFERENCE_THREADS": "2",
        "SIZEUP_INFERENCE_DRAIN_SECONDS": "3.0",
        "SIZEUP_INFERENCE_LOG_LEVEL": "info",
    }


def test_a_draft_is_a_setting_of_its_model_and_unknown_to_the_gateway(tmp_path: Path) -> None:
    draft = registry(tmp_path).find("qwen2.5:0.5b")
    model = registry(tmp_path).find("toy:5m")
    pinned = draft.entry.model_copy(update={"revision": "a" * 40})
    entry = model.entry.model_copy(update={"draft": "qwen2.5:0.5b"})
    model = dataclasses.replace(model, entry=entry, draft=dataclasses.replace(draft, entry=pinned))
    planned = plan_inference(model, 4242, options(tmp_path))
    environment = planned.environment
    assert environment["SIZEUP_INFERENCE_DRAFT_MODEL"] == "Qwen/Qwen2.5-0.5B-Instruct"
    assert environment["SIZEUP_INFERENCE_DRAFT_REVISION"] == "a" * 40
    path = tmp_path / "catalog.yaml"
    write_catalog(path, [model], [planned], [None])
    assert "draft" not in path.read_text()


@pytest.mark.parametrize("own", [None, "/mine.json"])
def test_created_models_have_a_file_unless_the_environment_has_one(
    tmp_path: Path, own: str | None
) -> None:
    variable = "SIZEUP_GATEWAY_CREATED_MODELS"
    environment = {variable: own} if own else {}
    planned = plan_gateway(tmp_path, tmp_path, options(tmp_path, **environment))
    file = planned.environment[variable]
    assert file == (own or str(tmp_path / "created-models.json"))


def test_the_gateway_catalog_has_every_replica(tmp_path: Path) -> None:
    models = [registry(tmp_path).find(name) for name in ("toy:0.5m",)]
    inference = [plan_inference(model, 4242, options(tmp_path)) for model in models]
    path = tmp_path / "catalog.yaml"
    write_catalog(path, models, inference, [None])
    catalog = Catalog.model_validate(yaml.safe_load(path.read_text()))
    key = NameIndex(catalog).find("toy:0.5m")
    entry = catalog.models[key or ""]
    assert entry.replicas == ("http://127.0.0.1:4242",)
    assert entry.scale_to_zero is not None
    assert entry.scale_to_zero.deployment == scale_name(0)
    gateway = plan_gateway(path, tmp_path / "socket", options(tmp_path))
    assert gateway.url == "http://127.0.0.1:11434"
    assert gateway.environment["SIZEUP_GATEWAY_CATALOG"] == str(path)
    assert gateway.environment["SIZEUP_GATEWAY_SCALE_SOCKET"] == str(tmp_path / "socket")


@pytest.mark.parametrize(
    ("host", "url"),
    [("::", "http://[::1]:1"), ("::1", "http://[::1]:1"), ("localhost", "http://localhost:1")],
)
def test_addresses_are_urls(tmp_path: Path, host: str, url: str) -> None:
    assert dataclasses.replace(options(tmp_path), host=host, port=1).local_url == url
