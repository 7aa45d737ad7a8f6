from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from tokenizer import load_tokenizer


@pytest.fixture(scope="session")
def ladder() -> Path:
    """The parent of the model folders."""
    return Path(__file__).resolve().parents[2] / "models" / "toy"


@pytest.fixture(scope="session")
def tokenizer(ladder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of all three models."""
    return load_tokenizer(ladder / "toy-0.5m")
