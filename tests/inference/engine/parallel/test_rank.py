"""The process of a rank, before it has imported torch."""

import os
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest

DEADLINE_SECONDS = 30.0


def start(parent: int) -> tuple["subprocess.Popen[bytes]", "Connection[Any, Any]"]:
    """Start a rank; return it with rank 0's end of the connection."""
    connection, child = Pipe()
    with child:
        module = "sizeup_inference.engine.parallel.rank"
        argv = [sys.executable, "-m", module, str(child.fileno()), str(parent)]
        rank = subprocess.Popen(argv, pass_fds=(child.fileno(),))
    return rank, connection


def test_it_ends_with_the_connection_to_rank_0() -> None:
    rank, rank_0 = start(os.getpid())
    rank_0.close()
    assert rank.wait(DEADLINE_SECONDS) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's request exists on Linux only")
def test_it_ends_if_rank_0_has_ended_before_it_started() -> None:
    rank, rank_0 = start(parent=1 if os.getppid() != 1 else 2)
    assert rank.wait(DEADLINE_SECONDS) == 1
    rank_0.close()
