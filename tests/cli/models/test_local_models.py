import dataclasses
import os
import socket
from pathlib import Path

import pytest
import yaml

from sizeup.deployment.backoff import Policy
from sizeup.deployment.plan import Options, plan_gateway, plan_inference, write_catalog
from sizeup.errors import PortInUseError, UsageError
from sizeup.models.catalogue import shipped
from sizeup.models.local_models import ModelRegistry, key_of, split_names
from sizeup.ports import free_loopback_ports, require_free
from sizeup.settings import Settings, inherited_environment
from sizeup_wire.catalog import Catalog, NameIndex

COMMIT = "a" * 40


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def registry(tmp_path: Path) -> ModelRegistry:
    for name in ("toy-0.5m", "toy-5m"):
        make_model(tmp_path / "toys" / name)
    repository = tmp_path / "hub" / "models--Qwen--Qwen2.5-0.5B-Instruct"
    make_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    settings = Settings(toy_dir=tmp_path / "toys", hf_hub_cache=str(tmp_path / "hub"))
    return ModelRegistry(shipped(), settings)


def test_a_toy_model_is_a_folder(tmp_path: Path) -> None:
    model = registry(tmp_path).find("toy:0.5m")
    assert model.model == str(tmp_path / "toys" / "toy-0.5m")
    assert model.entry.id == "toy-0.5m"


def test_a_missing_toy_model_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SIZEUP_TOY_DIR"):
        registry(tmp_path).find("toy:2m")


@pytest.mark.parametrize("name", ["qwen2.5:0.5b", "Qwen/Qwen2.5-0.5B-Instruct"])
def test_a_pulled_model_is_found_by_name_and_id(tmp_path: Path, name: str) -> None:
    model = registry(tmp_path).find(name)
    assert model.model == "Qwen/Qwen2.5-0.5B-Instruct"
    assert model.folder.name == COMMIT


@pytest.mark.parametrize("text", ["~no-such-user/model", "x" * 300, "./" + "x" * 300])
def test_an_invalid_path_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        registry(tmp_path).find(text)


def test_a_list_may_exceed_the_path_limit() -> None:
    names = ["qwen2.5:0.5b"] * 400
    assert list(split_names([",".join(names)])) == names


def test_a_missing_model_names_the_pull_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run: sizeup pull Qwen/Qwen1\.5-72B-Chat"):
        registry(tmp_path).find("qwen:72b")


def test_any_hugging_face_id_is_a_name(tmp_path: Path) -> None:
    key, entry = registry(tmp_path).resolve("hf.co/Other/Their-Model")
    assert (key, entry.id) == ("other-their-model", "Other/Their-Model")


@pytest.mark.parametrize("name", ["unknown", "a/b/c", "", "../../etc", "qwen:7m"])
def test_unknown_names_are_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        registry(tmp_path).find(name)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my model", "my-model"), ("模型", "model"), ("-x-", "x"), ("Q1.5", "Q1.5")],
)
def test_a_folder_name_becomes_a_valid_model_name(tmp_path: Path, folder: str, name: str) -> None:
    model = registry(tmp_path).find(str(make_model(tmp_path / folder)))
    assert (model.entry.id, model.entry.names) == (name, (f"{name}:latest",))
    assert model.model == str(tmp_path / folder)


def test_a_folder_without_a_config_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        registry(tmp_path).find(str(tmp_path))


def test_names_are_split_at_commas_but_not_paths(tmp_path: Path) -> None:
    with_comma = make_model(tmp_path / "a,b")
    assert list(split_names(["toy:2m, toy:5m,", str(with_comma)])) == [
        "toy:2m",
        "toy:5m",
        str(with_comma),
    ]


def test_keys_are_valid_file_names() -> None:
    assert key_of("Qwen/Qwen1.5-0.5B") == "qwen-qwen1.5-0.5b"
    assert key_of("..") == "model"


def options(tmp_path: Path, **environment: str) -> Options:
    return Options(
        host="0.0.0.0",
        port=11434,
        drain_seconds=3.0,
        log_level="info",
        log_dir=tmp_path,
        engine="fake",
        environment=environment,
        restart=Policy(),
        threads=2,
    )


def test_the_environment_of_a_child(tmp_path: Path) -> None:
    model = registry(tmp_path).find("toy:5m")
    planned = plan_inference(model, 4242, options(tmp_path, PATH="/bin"))
    assert planned.base_url == "http://127.0.0.1:4242"
    assert planned.command.environment == {
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


def test_the_gateway_catalogue_has_every_replica(tmp_path: Path) -> None:
    models = [registry(tmp_path).find(name) for name in ("toy:0.5m",)]
    inference = [plan_inference(model, 4242, options(tmp_path)) for model in models]
    path = write_catalog(tmp_path, models, inference)
    catalog = Catalog.model_validate(yaml.safe_load(path.read_text()))
    key = NameIndex(catalog).find("toy:0.5m")
    assert catalog.models[key or ""].replicas == ("http://127.0.0.1:4242",)
    gateway = plan_gateway(path, options(tmp_path))
    assert gateway.base_url == "http://127.0.0.1:11434"
    assert gateway.command.environment["SIZEUP_GATEWAY_CATALOG"] == str(path)


@pytest.mark.parametrize(
    ("host", "url"),
    [("::", "http://[::1]:1"), ("::1", "http://[::1]:1"), ("localhost", "http://localhost:1")],
)
def test_addresses_are_urls(tmp_path: Path, host: str, url: str) -> None:
    assert dataclasses.replace(options(tmp_path), host=host, port=1).local_url == url


def test_children_do_not_inherit_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in inherited_environment().values()
    assert inherited_environment()["PATH"] == os.environ["PATH"]


def test_free_ports_are_distinct() -> None:
    ports = free_loopback_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        require_free("127.0.0.1", port)


def test_a_port_in_use_differs_from_an_unavailable_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(PortInUseError, match="--port"):
            require_free("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PortInUseError):
            require_free("0.0.0.0", taken.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen"):
        require_free("192.0.2.1", 11434)
