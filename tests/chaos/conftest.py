"""Attacks on a real gateway process: a minute each in `make chaos`, seconds each in CI.

A test takes `deployment`, one gateway and one fake engine for all tests that leave it working, or
enters `deployment.deployed` with settings of its own. It attacks for `attack_seconds` and asserts
what must hold meanwhile and afterwards.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.deployment import Deployment, deployed

_FOLDER = Path(__file__).parent
_SHORT_SECONDS = 1.0
"""Of an attack without `make chaos`: unbounded memory grows by tens of MiB within it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: `-m chaos` selects them, `-m "not chaos"` all others."""
    for item in items:
        if item.path.is_relative_to(_FOLDER):
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def attack_seconds() -> float:
    """Return the duration of one attack."""
    return float(os.environ.get("SIZEUP_CHAOS_SECONDS", _SHORT_SECONDS))


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Serve for all tests that leave both processes working."""
    with deployed(tmp_path_factory.mktemp("chaos")) as serving:
        yield serving
