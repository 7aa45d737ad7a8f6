"""One deployment for most tests, and its logs in the report of a failure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from system.deployment import Deployment, deployed
from system.models import ENDLESS, TOY, make_endless

THREADS = ("--threads", "1")
"""An engine step of a toy model is too short to gain from a second thread."""


KV_MIB = 32
"""Of each model: 20,000 tokens, filled by two hundred streams. Memory of the pool becomes resident
as it is used, and a pool of the default size would hide other growth."""


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("hub")
    make_endless(cache)
    return cache


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory, hub_cache: Path) -> Iterator[Deployment]:
    """Serve two models for all tests that do not stop them."""
    folder = tmp_path_factory.mktemp("serving")
    models = ("--models", f"{ENDLESS},{TOY}")
    environment = {
        "HF_HUB_CACHE": str(hub_cache),
        "SIZEUP_INFERENCE_KV_CACHE_BYTES": str(KV_MIB * 2**20),
    }
    with deployed(folder, *models, *THREADS, **environment) as deployment:
        yield deployment
