from collections.abc import Iterator
from functools import cache

import pytest
from kubernetes_validate import utils as tool  # type: ignore[import-untyped]


@pytest.fixture(autouse=True, scope="module")
def cached_schemas() -> Iterator[None]:
    """Without the cache, megabytes of JSON are parsed for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "schema_contents", cache(tool.schema_contents))
        yield
