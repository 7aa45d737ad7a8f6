"""A description of a model, for tests that need one and no more."""

from typing import Any

from sizeup_inference.fake.model import describe
from sizeup_inference.settings import Settings
from sizeup_wire.model import ModelInfo


def model_info(**changes: Any) -> ModelInfo:
    """Describe the fake model, with changes."""
    return describe(Settings(model="fake", engine="fake")).model_copy(update=changes)


INFO = model_info()
