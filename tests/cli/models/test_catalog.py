from pathlib import Path

import pytest

from sizeup.errors import UsageError
from sizeup.models.catalog import load_catalog, merge, read_catalog, shipped
from sizeup.settings import Settings
from sizeup_wire.catalog import CatalogEntry, NameIndex

QWEN15 = {
    "0.5b": "0.5B",
    "1.8b": "1.8B",
    "4b": "4B",
    "7b": "7B",
    "14b": "14B",
    "32b": "32B",
    "72b": "72B",
    "110b": "110B",
}
QWEN2 = {"0.5b": "0.5B", "1.5b": "1.5B", "7b": "7B", "72b": "72B"}
QWEN25 = QWEN2 | {"3b": "3B", "14b": "14B", "32b": "32B"}
CODER = {size: hub for size, hub in QWEN25.items() if size != "72b"}
QWEN3 = {
    "0.6b": "0.6B",
    "1.7b": "1.7B",
    "4b": "4B",
    "8b": "8B",
    "14b": "14B",
    "32b": "32B",
    "30b": "30B-A3B",
    "30b-a3b": "30B-A3B",
    "235b": "235B-A22B",
    "235b-a22b": "235B-A22B",
}


def names_of_the_ladder() -> dict[str, str]:
    """Ollama's names with their Hugging Face ids, by the naming rules of its library."""
    names = {}
    for size, hub in QWEN15.items():
        for tag in (size, f"{size}-chat", f"{size}-chat-q4_0"):
            names[f"qwen:{tag}"] = f"Qwen/Qwen1.5-{hub}-Chat"
        names[f"qwen:{size}-text"] = f"Qwen/Qwen1.5-{hub}"
    for family, prefix, sizes in (
        ("qwen2", "Qwen2", QWEN2),
        ("qwen2.5", "Qwen2.5", QWEN25),
        ("qwen2.5-coder", "Qwen2.5-Coder", CODER),
    ):
        for size, hub in sizes.items():
            for tag in (size, f"{size}-instruct", f"{size}-instruct-q4_K_M"):
                names[f"{family}:{tag}"] = f"Qwen/{prefix}-{hub}-Instruct"
            names[f"{family}:{size}-base"] = f"Qwen/{prefix}-{hub}"
    names |= {f"qwen3:{size}": f"Qwen/Qwen3-{hub}" for size, hub in QWEN3.items()}
    return names


OTHERS = {
    "qwen": "Qwen/Qwen1.5-4B-Chat",
    "qwen2": "Qwen/Qwen2-7B-Instruct",
    "qwen2:7b-text": "Qwen/Qwen2-7B",
    "qwen2.5:latest": "Qwen/Qwen2.5-7B-Instruct",
    "qwen2.5:3b-text": "Qwen/Qwen2.5-3B",
    "qwen2.5-coder": "Qwen/Qwen2.5-Coder-7B-Instruct",
    "qwen2-math": "Qwen/Qwen2-Math-7B-Instruct",
    "qwen2-math:1.5b": "Qwen/Qwen2-Math-1.5B-Instruct",
    "qwen2-math:72b": "Qwen/Qwen2-Math-72B-Instruct",
    "qwq": "Qwen/QwQ-32B",
    "qwq:32b": "Qwen/QwQ-32B",
    "codeqwen": "Qwen/CodeQwen1.5-7B-Chat",
    "codeqwen:7b": "Qwen/CodeQwen1.5-7B-Chat",
    "qwen3": "Qwen/Qwen3-8B",
    "qwen3:4b-instruct": "Qwen/Qwen3-4B-Instruct-2507",
    "qwen3:4b-thinking": "Qwen/Qwen3-4B-Thinking-2507",
    "qwen3:30b-a3b-instruct-2507-q4_K_M": "Qwen/Qwen3-30B-A3B-Instruct-2507",
    "qwen3:235b-a22b-thinking-2507": "Qwen/Qwen3-235B-A22B-Thinking-2507",
    "qwen3-coder": "Qwen/Qwen3-Coder-30B-A3B-Instruct",
    "qwen3-coder:480b": "Qwen/Qwen3-Coder-480B-A35B-Instruct",
    "qwen3-embedding": "Qwen/Qwen3-Embedding-8B",
    "qwen3-embedding:0.6b": "Qwen/Qwen3-Embedding-0.6B",
    "Qwen/Qwen1.5-0.5B": "Qwen/Qwen1.5-0.5B",
    "hf.co/qwen/qwen2.5-7b-instruct": "Qwen/Qwen2.5-7B-Instruct",
    "toy:0.5m": "toy-0.5m",
    "toy:2m": "toy-2m",
    "toy:5m": "toy-5m",
}


def test_every_ollama_name_resolves() -> None:
    catalog = shipped()
    index = NameIndex(catalog)
    wrong = {}
    for name, model_id in (names_of_the_ladder() | OTHERS).items():
        key = index.find(name)
        if key is None or catalog.models[key].id != model_id:
            wrong[name] = key
    assert wrong == {}


def test_every_model_has_parameters_and_tags() -> None:
    for entry in shipped().models.values():
        assert entry.parameters
        assert all(":" in name for name in entry.names)


def entry(model_id: str, *names: str) -> CatalogEntry:
    return CatalogEntry(id=model_id, names=names)


BELOW = {"a": entry("org/a", "a:1", "a:latest"), "b": entry("org/b", "b:1")}


@pytest.mark.parametrize(
    ("above", "merged"),
    [
        ({"c": entry("org/c", "c:1")}, {"a": ("a:1", "a:latest"), "b": ("b:1",), "c": ("c:1",)}),
        ({"c": entry("org/c", "A:Latest")}, {"a": ("a:1",), "b": ("b:1",), "c": ("A:Latest",)}),
        ({"c": entry("org/c", "b:1")}, {"a": ("a:1", "a:latest"), "c": ("b:1",)}),
        ({"b": entry("org/z", "z:1")}, {"a": ("a:1", "a:latest"), "b": ("z:1",)}),
        ({"z": entry("org/b", "z:1")}, {"a": ("a:1", "a:latest"), "z": ("z:1",)}),
    ],
)
def test_the_user_catalog_wins(
    above: dict[str, CatalogEntry], merged: dict[str, tuple[str, ...]]
) -> None:
    assert {key: entry.names for key, entry in merge(BELOW, above).items()} == merged


def test_later_sources_win(empty_home: Path, tmp_path: Path) -> None:
    (empty_home / "sizeup").mkdir()
    for path, model_id in (
        (empty_home / "sizeup" / "models.yaml", "me/user"),
        (tmp_path / "environment.yaml", "me/environment"),
        (tmp_path / "option.yaml", "me/option"),
    ):
        path.write_text(f'models: {{x: {{id: {model_id}, names: ["qwen:latest"]}}}}')

    def found(settings: Settings, extra: Path | None = None) -> str:
        catalog = load_catalog(settings, extra)
        return catalog.models[NameIndex(catalog).find("qwen") or ""].id

    environment = Settings(catalog=tmp_path / "environment.yaml")
    assert found(Settings()) == "me/user"
    assert found(environment) == "me/environment"
    assert found(environment, tmp_path / "option.yaml") == "me/option"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "own.yaml"),
        ("models: {a: {id: x/y}}", r"models\.a\.names"),
        ("modles: {}", "models: Field required"),
        ("- 1", "own.yaml"),
        ('models: {a: {id: x/y, names: ["n:1"]}, b: {id: x/z, names: ["N:1"]}}', "share the name"),
    ],
)
def test_an_invalid_file_is_named_with_its_fault(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_catalog(tmp_path / "own.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_catalog(tmp_path / "nowhere.yaml")
