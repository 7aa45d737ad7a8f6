"""A model description for tests."""

from typing import Any

from sizeup_inference.fake.model import describe
from sizeup_inference.settings import Settings
from sizeup_wire.model import ModelInfo


def model_info(**changes: Any) -> ModelInfo:
    """Return the description of the fake model with changes."""
    return describe(Settings(model="fake", engine="fake")).model_copy(update=changes)


INFO = model_info()
