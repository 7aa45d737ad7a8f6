"""Runs the mock server of the tests as a subprocess."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TESTS = Path(__file__).parents[1] / "tests"
_STOP_SECONDS = 10


@contextmanager
def mock_process(options: Sequence[str]) -> Iterator[str]:
    """Start `python -m loadtest.mock` on a free port; yield its URL."""
    command = [sys.executable, "-m", "loadtest.mock", *options]
    with subprocess.Popen(command, cwd=_TESTS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the mock server did not start")
            yield url
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)
