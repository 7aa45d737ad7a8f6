"""One running system for most tests, and its logs beside whatever fails."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from system.deployment import Deployment, deployed
from system.models import ENDLESS, TOY, make_endless

THREADS = ("--threads", "1")
"""A step of a toy model is too short to be shared: two threads would only wait for one another."""


KV_MIB = 32
"""Of each model: room for 20,000 tokens, so that two hundred streams fill it. A pool is touched bit
by bit, and one of the usual size would hide what else the memory grows by."""


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("hub")
    make_endless(cache)
    return cache


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory, hub_cache: Path) -> Iterator[Deployment]:
    """Serve two models for all tests that leave them as they were."""
    folder = tmp_path_factory.mktemp("serving")
    models = ("--models", f"{ENDLESS},{TOY}")
    environment = {
        "HF_HUB_CACHE": str(hub_cache),
        "SIZEUP_INFERENCE_KV_CACHE_BYTES": str(KV_MIB * 2**20),
    }
    with deployed(folder, *models, *THREADS, **environment) as deployment:
        yield deployment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Deployment):
                report.sections.append(("logs of the deployment", value.logs()))
    return report
