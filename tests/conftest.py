"""Process-wide settings of the test run."""

import os
import signal

# More OpenMP threads only wait for each other on models as small as those of the tests. Torch reads
# the variable when it is imported; processes started by tests inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Handle Ctrl-C here and in child processes, even when a shell started this in background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
