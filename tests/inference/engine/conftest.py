"""Ranks that the tests of one process share: starting them takes seconds, loading a model less."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist

from sizeup_inference.engine.parallel.ranks import Ranks


@pytest.fixture(scope="session")
def two_ranks() -> Iterator[Ranks]:
    """Run this process as rank 0 of two on the CPU."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("LOCAL_RANK", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            environment.setenv(name, "")
            environment.delenv(name)  # restored after joining the group has set it
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        module = "sizeup_inference.engine.parallel.ranks._MODULE"
        environment.setattr(module, "inference.engine.parallel.reference_rank")
        ranks = Ranks(2, "cpu")
        yield ranks
        ranks.lose("the tests have ended")
        dist.destroy_process_group()
