import pytest
from pydantic import ValidationError

from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex


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
        ("library/qwen:0.5b", "qwen-0.5b"),
        ("registry.ollama.ai/library/QWEN:0.5b", "qwen-0.5b"),
        ("registry.ollama.ai/qwen/qwen1.5-4b-chat", "qwen-4b"),
        ("https://huggingface.co/Qwen/Qwen1.5-4B-Chat:Q4_K_M", "qwen-4b"),
    ],
)
def test_every_spelling_of_a_name_finds_its_model(name: str, key: str) -> None:
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
def test_an_unknown_name_finds_no_model(name: str) -> None:
    assert make_index().find(name) is None


def test_two_models_cannot_share_a_name() -> None:
    entry = CatalogEntry(id="a/b", names=("x:1",))
    other = CatalogEntry(id="a/c", names=("X:1",))
    with pytest.raises(ValueError, match="X:1"):
        NameIndex(Catalog(models={"one": entry, "two": other}))


def test_an_id_with_a_path_in_it_is_rejected() -> None:
    with pytest.raises(ValidationError):
        CatalogEntry(id="../../etc/passwd", names=("x:1",))


SCALED = {"deployment": "x", "max_replicas": 4, "target_requests": 64}


def entry(**fields: object) -> CatalogEntry:
    return CatalogEntry.model_validate({"id": "a/b", "names": ["x:1"], **fields})


def on_cluster(**scale: object) -> dict[str, object]:
    """Return the fields of an entry with its scale, altered."""
    scale = {"deployment": "x", "startup_seconds": 600, **scale}
    return {"service": "x", "scale_to_zero": scale}


def test_a_model_on_a_cluster_is_found_by_its_service() -> None:
    scale = {"deployment": "sizeup-x", "startup_seconds": 600}
    placed = entry(service="sizeup-x", scale_to_zero=scale)
    assert placed.scale_to_zero is not None
    assert placed.scale_to_zero.keep_alive_seconds == 300


def test_a_model_with_fixed_addresses_can_scale_to_zero() -> None:
    placed = entry(
        replicas=["http://a"], scale_to_zero={"deployment": "model-0", "startup_seconds": 600}
    )
    assert placed.scale_to_zero is not None


@pytest.mark.parametrize(
    ("fields", "deployment"),
    [
        ({}, None),
        (on_cluster(deployment="a"), "a"),
        ({"autoscaling": SCALED}, "x"),
        ({"autoscaling": SCALED, **on_cluster()}, "x"),
    ],
)
def test_the_deployment_that_is_scaled(fields: dict[str, object], deployment: str | None) -> None:
    assert entry(**{"service": "x", **fields}).scaled_deployment == deployment


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"replicas": ["http://a"], "service": "x"}, "value_error"),
        ({"scale_to_zero": {"deployment": "x", "startup_seconds": 1}}, "value_error"),
        ({"service": "x", "scale_to_zero": {"deployment": "x"}}, "missing"),
        ({"replicas": ["http://a"], "autoscaling": SCALED}, "value_error"),
        ({"service": "x", "autoscaling": {**SCALED, "min_replicas": 5}}, "value_error"),
        ({**on_cluster(deployment="y"), "autoscaling": SCALED}, "value_error"),
        ({"service": "x", "autoscaling": {**SCALED, "target_requests": 0}}, "greater_than"),
        ({"service": "Not_A_Label"}, "string_pattern_mismatch"),
        ({"service": "x" * 64}, "string_pattern_mismatch"),
        (on_cluster(deployment="../x"), "string_pattern_mismatch"),
        (on_cluster(min=1), "extra_forbidden"),
        (on_cluster(startup_seconds=0), "greater_than"),
        ({"endpoint": "x"}, "extra_forbidden"),
    ],
)
def test_an_invalid_entry_is_rejected(fields: dict[str, object], error: str) -> None:
    with pytest.raises(ValidationError) as caught:
        entry(**fields)
    assert [found["type"] for found in caught.value.errors()] == [error]
