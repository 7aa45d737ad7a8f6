"""The result of starting an engine, and the id that the process reports. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sizeup_inference.engine.protocol import Deliver, EngineClient
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.settings import Settings
from sizeup_inference.text.grammar import GrammarCompiler
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.model import ModelInfo


@dataclass(frozen=True, slots=True)
class RunningModel:
    """An engine that has generated a token, with its model's description and tokenizer."""

    engine: EngineClient
    info: ModelInfo
    tokenizer: Tokenizer
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    grammars: GrammarCompiler | None = None
    """None where output cannot be constrained."""


Progress = Callable[[str, float], None]
"""Called with the stage of loading and its progress, 0 to 1; from any thread."""

StartEngine = Callable[[Settings, Deliver, Progress], RunningModel]
"""Blocks until a token has been generated; raises any error that prevents loading."""


def reported_id(settings: Settings) -> str:
    """Return the id to report: the configured one, else the folder's name or the hub id."""
    if settings.model_id is not None:
        return settings.model_id
    folder = Path(settings.model)
    return folder.resolve().name if folder.is_dir() else settings.model
