"""Ranks that the tests of one process share: starting them takes seconds, loading a model less."""

from collections.abc import Iterator

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
        ranks = Ranks(2, "cpu")
        yield ranks
        ranks.lose("the tests have ended")
        dist.destroy_process_group()
