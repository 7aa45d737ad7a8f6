"""Changes of the catalog while models serve."""

import pytest

from gateway.fake_inference import model_info
from gateway.harness import KEY
from sizeup_gateway.models.catalog import Models
from sizeup_wire.catalog import Catalog, CatalogEntry
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
