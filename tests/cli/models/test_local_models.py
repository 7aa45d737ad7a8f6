from pathlib import Path

import pytest

from cli.models.toy_registry import COMMIT, make_model, registry, settings
from sizeup.errors import UsageError
from sizeup.models.catalog import merge
from sizeup.models.local_models import ModelRegistry, key_of, split_names
from sizeup_wire.catalog import Catalog, CatalogEntry


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


def drafting(tmp_path: Path, draft: str) -> ModelRegistry:
    entry = CatalogEntry(id="toy-5m", names=("toy:5m",), draft=draft)
    shared = registry(tmp_path)
    catalog = Catalog(models=merge(shared.catalog.models, {"toy-5m": entry}))
    return ModelRegistry(catalog, settings(tmp_path))


@pytest.mark.parametrize("name", ["toy:0.5m", "qwen2.5:0.5b"])
def test_a_draft_is_found_by_name(tmp_path: Path, name: str) -> None:
    model = drafting(tmp_path, name).find("toy:5m")
    assert model.draft is not None
    assert model.draft.model == registry(tmp_path).find(name).model
    assert registry(tmp_path).find("toy:5m").draft is None


@pytest.mark.parametrize("name", ["toy:5m", "toy-5m", "toy:2m", "unknown"])
def test_a_draft_is_another_model_on_this_machine(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="draft of toy-5m"):
        drafting(tmp_path, name).find("toy:5m")


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
