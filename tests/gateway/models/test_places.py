"""How many requests the replicas of a model accept."""

import pytest

from gateway.fake_inference import model_info
from gateway.harness import KEY
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.replica_pool import ReplicaPool
from sizeup_wire.catalog import Catalog, CatalogEntry


@pytest.mark.parametrize(
    ("per_replica", "states", "capacity"),
    [
        (10, [True], 10),
        (10, [True, True, False], 20),
        (10, [False], None),
        (None, [True], None),
    ],
)
def test_places_are_those_of_the_ready_replicas(
    per_replica: int | None, states: list[bool], capacity: int | None
) -> None:
    entry = CatalogEntry(id="a/b", names=("b",))
    model = Models(Catalog(models={KEY: entry})).by_key[KEY]
    model.pool = ReplicaPool(f"http://{i}" for i in range(len(states)))
    for replica, ready in zip(model.pool.replicas, states, strict=True):
        replica.ready = ready
    model.info = model_info().model_copy(update={"max_requests": per_replica})
    places = model.current_places()
    assert places.has_room("a", capacity or 10**6)
    assert places.has_room("a", (capacity or 10**6) + 1) == (capacity is None)


def test_places_that_are_held_count_when_a_replica_leaves() -> None:
    entry = CatalogEntry(id="a/b", names=("b",))
    model = Models(Catalog(models={KEY: entry})).by_key[KEY]
    model.pool = ReplicaPool(("http://1", "http://2"))
    for replica in model.pool.replicas:
        replica.ready = True
    model.info = model_info().model_copy(update={"max_requests": 10})
    with model.current_places().held("a", 12):
        assert model.current_places().has_room("b")
        model.pool.replicas[0].ready = False
        assert not model.current_places().has_room("b")


def test_the_room_of_models_without_known_places_is_bounded() -> None:
    names = {"a": "a/a", "b": "b/b"}
    entries = {key: CatalogEntry(id=id, names=(key,)) for key, id in names.items()}
    models = Models(Catalog(models=entries))
    unknown = models.room()
    assert 0 < unknown < 10_000
    ready = models.by_key["a"]
    ready.pool = ReplicaPool(("http://1",))
    ready.pool.replicas[0].ready = True
    ready.info = model_info().model_copy(update={"max_requests": 10})
    assert models.room() == unknown + 10
    with ready.current_places().held("a", 4):
        assert models.room() == unknown + 6


def test_the_room_of_known_places_is_what_is_left() -> None:
    entry = CatalogEntry(id="a/b", names=("b",))
    models = Models(Catalog(models={KEY: entry}))
    model = models.by_key[KEY]
    model.pool = ReplicaPool(("http://1",))
    model.pool.replicas[0].ready = True
    model.info = model_info().model_copy(update={"max_requests": 10})
    with model.current_places().held("a", 8), model.current_places().held("b", 2):
        assert models.room() == 0
