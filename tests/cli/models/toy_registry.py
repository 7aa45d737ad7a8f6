"""A registry over two toy models and one cached model, all without weights."""

from pathlib import Path

from sizeup.models.catalog import shipped
from sizeup.models.local_models import ModelRegistry
from sizeup.settings import Settings

COMMIT = "a" * 40


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    return folder


def registry(tmp_path: Path) -> ModelRegistry:
    for name in ("toy-0.5m", "toy-5m"):
        make_model(tmp_path / "toys" / name)
    repository = tmp_path / "hub" / "models--Qwen--Qwen2.5-0.5B-Instruct"
    make_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return ModelRegistry(shipped(), settings(tmp_path))


def settings(tmp_path: Path) -> Settings:
    return Settings(toy_dir=tmp_path / "toys", hf_hub_cache=str(tmp_path / "hub"))
