"""Changes of the catalog while models serve."""

import pytest

from gateway.fake_inference import model_info
from gateway.harness import KEY
from sizeup_gateway.models.catalog import Models
from sizeup_wire.catalog import Catalog, CatalogEntry, Download
from sizeup_wire.model import ModelInfo

OTHER = model_info().model_copy(update={"digest": "f" * 64})


def at_revision(revision: str, info: ModelInfo | None = None) -> Catalog:
    entry = CatalogEntry(id="a/b", names=("b",), service="b", revision=revision, info=info)
    return Catalog(models={KEY: entry})


@pytest.mark.parametrize(
    ("ready", "of_the_catalog", "shown"),
    [(True, None, model_info()), (True, OTHER, OTHER), (False, None, None), (False, OTHER, OTHER)],
)
def test_the_description_is_of_what_serves_until_another_revision_is_known(
    *, ready: bool, of_the_catalog: ModelInfo | None, shown: ModelInfo | None
) -> None:
    models = Models(at_revision("one"))
    model = models.by_key[KEY]
    model.pool.set_endpoints(["http://1"])
    model.pool.set_ready(model.pool.replicas[0], ready=ready)
    model.info = model_info()
    models.apply(at_revision("two", of_the_catalog))
    assert models.by_key[KEY].info == shown


@pytest.mark.parametrize(
    ("reported", "is_gated", "ready"),
    [
        ("a/b", True, False),
        ("a/b", False, True),
        ("A/Other", True, True),
        ("folder", True, True),
        (None, True, True),
    ],
)
def test_a_replica_of_an_earlier_id_serves_no_longer(
    reported: str | None, *, is_gated: bool, ready: bool
) -> None:
    download = Download(deployment="b") if is_gated else None
    models = Models(at_revision("one"))
    model = models.by_key[KEY]
    model.pool.set_endpoints(["http://1"])
    (replica,) = model.pool.replicas
    model.pool.set_ready(replica, ready=True)
    replica.model_id, model.info = reported, model_info()
    entry = model.entry.model_copy(update={"id": "a/other", "download": download})
    models.apply(Catalog(models={KEY: entry}))
    assert (replica.ready, model.info) == (ready, model_info() if ready else None)
