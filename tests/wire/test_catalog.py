import pytest
from pydantic import ValidationError

from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex, is_legal_name


def make_index() -> NameIndex:
    return NameIndex(
        Catalog(
            models={
                "qwen-0.5b": CatalogEntry(
                    id="Qwen/Qwen1.5-0.5B-Chat", names=("qwen:0.5b", "qwen:0.5b-chat")
                ),
                "qwen-4b": CatalogEntry(
                    id="Qwen/Qwen1.5-4B-Chat", names=("qwen:4b", "qwen:latest")
                ),
            }
        )
    )


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("qwen:0.5b", "qwen-0.5b"),
        ("QWEN:0.5B", "qwen-0.5b"),
        ("qwen", "qwen-4b"),
        ("qwen:latest", "qwen-4b"),
        ("Qwen/Qwen1.5-0.5B-Chat", "qwen-0.5b"),
        ("qwen/qwen1.5-0.5b-chat:latest", "qwen-0.5b"),
        ("hf.co/Qwen/Qwen1.5-4B-Chat", "qwen-4b"),
        ("qwen:0.5b-chat-q4_K_M", "qwen-0.5b"),
        ("qwen:0.5b-fp16", "qwen-0.5b"),
        ("qwen-4b", "qwen-4b"),
    ],
)
def test_every_way_of_writing_a_name_finds_its_model(name: str, key: str) -> None:
    assert make_index().find(name) == key


@pytest.mark.parametrize(
    "name",
    [
        "",
        "qwen:7b",
        "qwen:0.5",
        "../qwen:0.5b",
        "qwen:0.5b ",
        "http://x",
        "qwen:0.5b-q4" + "k" * 99,
    ],
)
def test_a_name_nobody_claims_finds_nothing(name: str) -> None:
    assert make_index().find(name) is None


def test_two_models_cannot_claim_one_name() -> None:
    entry = CatalogEntry(id="a/b", names=("x:1",))
    other = CatalogEntry(id="a/c", names=("X:1",))
    with pytest.raises(ValueError, match="both answer to 'X:1'"):
        NameIndex(Catalog(models={"one": entry, "two": other}))


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "a b", "a\x00b", "x" * 81, "http://evil/x", "模型", "a:b:c:d:e"],
)
def test_illegal_names_are_told_apart(name: str) -> None:
    assert not is_legal_name(name)


@pytest.mark.parametrize("name", ["qwen:0.5b", "Qwen/Qwen1.5-0.5B", "hf.co/Qwen/X-GGUF:Q4_K_M"])
def test_ollama_and_hub_names_are_legal(name: str) -> None:
    assert is_legal_name(name)


def test_an_id_with_a_path_in_it_is_refused() -> None:
    with pytest.raises(ValidationError):
        CatalogEntry(id="../../etc/passwd", names=("x:1",))


def entry(**fields: object) -> CatalogEntry:
    return CatalogEntry.model_validate({"id": "a/b", "names": ["x:1"], **fields})


def test_a_model_on_a_cluster_is_found_by_its_service() -> None:
    scale = {"deployment": "sizeup-x"}
    placed = entry(service="sizeup-x", scale_to_zero=scale)
    assert placed.scale_to_zero is not None
    assert placed.scale_to_zero.keep_alive_seconds == 300
    assert placed.scale_to_zero.startup_seconds == 600


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replicas": ["http://a"], "service": "x"}, "exclude each other"),
        ({"scale_to_zero": {"deployment": "x"}}, "needs a service"),
        ({"service": "Not_A_Label"}, "should match pattern"),
        ({"service": "x" * 64}, "should match pattern"),
        ({"service": "x", "scale_to_zero": {"deployment": "../x"}}, "should match pattern"),
        ({"service": "x", "scale_to_zero": {"deployment": "x", "min": 1}}, "not permitted"),
        (
            {"service": "x", "scale_to_zero": {"deployment": "x", "startup_seconds": 0}},
            "greater than 0",
        ),
        ({"endpoint": "x"}, "not permitted"),
    ],
)
def test_a_place_that_cannot_be_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        entry(**fields)
