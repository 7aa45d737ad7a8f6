"""Process-wide settings of the test run."""

import os
import signal
from collections.abc import Generator
from typing import Protocol, runtime_checkable

import pytest

# More OpenMP threads only wait for each other on models as small as those of the tests. Torch reads
# the variable when it is imported; processes started by tests inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Handle Ctrl-C here and in child processes, even when a shell started this in background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@runtime_checkable
class Logged(Protocol):
    """A fixture's processes, whose logs belong to the report of a failed test."""

    def logs(self) -> str:
        """Return the last lines of every process."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Logged):
                report.sections.append(("logs of the deployment", value.logs()))
    return report
