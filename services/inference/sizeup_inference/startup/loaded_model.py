"""What starting an engine gives, and the name it answers to. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sizeup_inference.engine.protocol import Deliver, EngineClient
from sizeup_inference.settings import Settings
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.model import ModelInfo


@dataclass(frozen=True, slots=True)
class RunningModel:
    """An engine that has generated a token, the model in it, and the model's tokenizer."""

    engine: EngineClient
    info: ModelInfo
    tokenizer: Tokenizer


Progress = Callable[[str, float], None]
"""Takes the stage of loading and how much of it is done, 0 to 1; may be called from any thread."""

StartEngine = Callable[[Settings, Deliver, Progress], RunningModel]
"""Blocks until a token has been generated; raises whatever keeps the model from loading."""


def reported_id(settings: Settings) -> str:
    """Return the id this process reports: the one it was given, the folder's name, the hub id."""
    if settings.model_id is not None:
        return settings.model_id
    folder = Path(settings.model)
    return folder.resolve().name if folder.is_dir() else settings.model
