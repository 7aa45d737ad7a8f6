"""Virtual names, and the fallback to a smaller size."""

from collections.abc import Iterable

import pytest

from sizeup_gateway.errors import InvalidRequestError, ModelNotFoundError, NotReadyError
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.models.selection import select
from sizeup_wire.catalog import Catalog, CatalogEntry


def models(*ready: str, others: Iterable[CatalogEntry] = ()) -> Models:
    """Sizes of qwen2.5 in no order, one of unknown size; those named are ready."""
    entries = [
        CatalogEntry(
            id=f"Q/{size}", names=(f"qwen2.5:{size}",), parameters=count, replicas=("http://r",)
        )
        for size, count in (("7b", 7), ("0.5b", 1), ("3b", 3), ("x", None))
    ]
    catalog = Catalog(models={entry.id[2:]: entry for entry in [*entries, *others]})
    found = Models(catalog)
    for key in ready:
        pool = found.by_key[key].pool
        pool.set_ready(pool.replicas[0], ready=True)
    return found


@pytest.mark.parametrize(
    ("name", "ready", "key"),
    [
        ("qwen2.5:smallest", (), "0.5b"),
        ("QWEN2.5:Smallest", (), "0.5b"),
        ("registry.ollama.ai/library/qwen2.5:smallest", (), "0.5b"),
        ("qwen2.5:largest", (), "7b"),  # not the one of unknown size
        ("qwen2.5:largest-ready", ("0.5b", "3b"), "3b"),
        ("qwen2.5:largest-ready", ("7b",), "7b"),
    ],
)
def test_a_virtual_name_is_a_place_among_the_sizes(
    name: str, ready: tuple[str, ...], key: str
) -> None:
    selected = select(models(*ready), name)
    assert selected.model.key == key
    assert selected.name == f"qwen2.5:{key}"
    assert selected.virtual == name.lower().rpartition(":")[2]


def test_largest_ready_needs_a_ready_size() -> None:
    with pytest.raises(NotReadyError):
        select(models(), "qwen2.5:largest-ready")


@pytest.mark.parametrize(
    "name", ["qwen3:smallest", "qwen2.5:larger", "smallest", "me/qwen2.5:smallest"]
)
def test_other_names_are_not_found(name: str) -> None:
    with pytest.raises(ModelNotFoundError):
        select(models(), name)


@pytest.mark.parametrize("name", [":smallest", "", "a b", "a/b/c/d", "x@sha256:0"])
def test_an_illegal_name_is_invalid(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        select(models(), name)


def test_a_name_of_the_catalog_need_not_be_legal_in_ollama() -> None:
    own = CatalogEntry(id="Q.ai/own", names=("own",))
    assert select(models(others=[own]), "Q.ai/own").model.key == "ai/own"


def with_created(*ready: str, name: str = "Me/Bot:latest", base: str = "Q/3b") -> Models:
    found = models(*ready)
    created = CreatedModel(name=name, base=base, modified_at=1)
    found.created = {created.key: created}
    return found


@pytest.mark.parametrize("name", ["me/bot", "Me/Bot:latest", "registry.ollama.ai/me/BOT"])
def test_a_created_model_is_served_by_its_base(name: str) -> None:
    selected = select(with_created(), name)
    assert (selected.model.key, selected.name) == ("3b", name)
    assert (selected.key, selected.listed_name) == ("me/bot:latest", "Me/Bot:latest")


def test_a_created_model_without_its_base_is_not_found() -> None:
    with pytest.raises(ModelNotFoundError, match="Q/other"):
        select(with_created(base="Q/other"), "me/bot")


def test_a_name_of_the_catalog_takes_precedence_over_a_created_one() -> None:
    assert select(with_created(name="qwen2.5:7b"), "qwen2.5:7b").created is None


def test_a_smaller_size_takes_the_settings_of_a_created_model() -> None:
    selected = select(with_created("0.5b"), "me/bot", fall_back=True)
    assert (selected.model.key, selected.name) == ("0.5b", "qwen2.5:0.5b")
    assert selected.created is not None


def test_a_model_of_that_very_name_takes_precedence() -> None:
    own = CatalogEntry(id="Q/own", names=("qwen2.5:largest",))
    selected = select(models(others=[own]), "qwen2.5:largest")
    assert selected.model.key == "own"
    assert selected.virtual is None


def test_a_name_stays_as_it_was_written() -> None:
    assert select(models("3b"), "Q/3b").name == "Q/3b"


@pytest.mark.parametrize(
    ("ready", "served"), [(("0.5b", "3b"), "3b"), (("0.5b",), "0.5b"), ((), "7b")]
)
def test_the_next_smaller_ready_size_serves_in_place(ready: tuple[str, ...], served: str) -> None:
    selected = select(models(*ready), "qwen2.5:7b", fall_back=True)
    assert selected.model.key == served
    assert (selected.instead_of is not None) == bool(ready)


def test_a_ready_model_serves_itself() -> None:
    selected = select(models("0.5b", "3b"), "qwen2.5:3b", fall_back=True)
    assert (selected.model.key, selected.instead_of) == ("3b", None)


def test_a_larger_size_never_serves_in_place() -> None:
    selected = select(models("7b"), "qwen2.5:3b", fall_back=True)
    assert (selected.model.key, selected.instead_of) == ("3b", None)


def test_one_of_unknown_size_falls_back_to_none() -> None:
    selected = select(models("0.5b", "7b"), "qwen2.5:x", fall_back=True)
    assert (selected.model.key, selected.instead_of) == ("x", None)


def variants() -> Models:
    """Base models beside those for chat, all ready but the largest for chat."""
    names = ("q:1b-base", "q:1b", "q:3b-base", "q:3b", "q:30b-a3b", "q:30b-a3b-thinking")
    catalog = {
        name.replace(":", "-"): CatalogEntry(
            id=name.replace(":", "-"),
            names=(name,),
            parameters=int(name[2:].partition("b")[0]),
            replicas=("http://r",),
        )
        for name in names
    }
    found = Models(Catalog(models=catalog))
    for key, model in found.by_key.items():
        model.pool.set_ready(model.pool.replicas[0], ready=key != "q-3b")
    return found


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("q:smallest", "q-1b"),
        ("q:largest", "q-30b-a3b"),
        ("q-base:largest", "q-3b-base"),
        ("q-thinking:smallest", "q-30b-a3b-thinking"),
    ],
)
def test_variants_are_families_of_their_own(name: str, key: str) -> None:
    assert select(variants(), name).model.key == key


def test_the_fallback_stays_in_the_variant() -> None:
    assert select(variants(), "q:3b", fall_back=True).model.key == "q-1b"


def test_a_size_whose_only_replica_hangs_falls_back_like_one_that_is_not_ready() -> None:
    found = models("3b", "0.5b")
    found.by_key["3b"].pool.replicas[0].hung = True
    assert select(found, "qwen2.5:3b").model.key == "3b"
    assert select(found, "qwen2.5:3b", fall_back=True).model.key == "0.5b"
    assert select(found, "qwen2.5:largest-ready").model.key == "0.5b"
