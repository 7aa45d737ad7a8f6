"""Every parity test, on two ranks: one model with biases and one with norms of heads and tied."""

import pytest
from transformers import PreTrainedModel

from inference.engine.engines import EngineOptions, random_model
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.random_configs import random_config
from inference.engine.test_parity import *  # noqa: F403  # tests to come included
from sizeup_inference.engine.parallel.ranks import Ranks


@pytest.fixture(  # type: ignore[no-redef]
    params=["qwen2-gqa7-untied", "qwen3-gqa4-tied"], scope="module"
)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Return a model with random weights; test_load_parallel.py has the other shapes."""
    return random_model(random_config(request.param))


@pytest.fixture(params=["transformers", "paged"])  # type: ignore[no-redef]
def options(request: pytest.FixtureRequest, two_ranks: Ranks) -> EngineOptions:
    """Return a pool of 2,048 tokens, of which a single sequence has graphs."""
    device = ReferenceDevice(16) if request.param == "paged" else None
    return EngineOptions(pages=128, page_size=16, ranks=two_ranks, device=device)
