import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def gpu() -> torch.device:
    """Return the GPU; without one these tests fail."""
    assert torch.cuda.is_available(), "no CUDA device"
    return torch.device("cuda", torch.cuda.current_device())
