"""Ctrl-C as at a terminal, whoever started the tests: what a shell starts behind ignores it."""

import signal


def pytest_configure() -> None:
    """Let it interrupt, here and in the processes that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
