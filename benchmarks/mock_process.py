"""The server of known truth in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_STOP_SECONDS = 10


@contextmanager
def mock_process(options: Sequence[str]) -> Iterator[str]:
    """Start `sizeup-bench mock` on a free port; yield its URL."""
    code = "from sizeup_loadtest.main import main; main()"
    command = [sys.executable, "-c", code, "mock", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the mock did not start")
            yield url
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)
