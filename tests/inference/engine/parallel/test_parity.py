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


@pytest.fixture  # type: ignore[no-redef]
def options(model: PreTrainedModel, two_ranks: Ranks) -> EngineOptions:
    """Return a pool of 2,048 tokens; Qwen3 has the paged forward pass, and graphs of one token."""
    device = ReferenceDevice(16) if model.config.model_type == "qwen3" else None
    return EngineOptions(pages=128, page_size=16, ranks=two_ranks, device=device)
