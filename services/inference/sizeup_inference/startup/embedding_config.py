"""How a model makes vectors, from the files of sentence-transformers in its folder. No torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sizeup_inference.engine.protocol import Pooling
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_store.weights import (
    CONFIG,
    MODULES,
    WeightsError,
    is_pooling_config,
    read_json,
    read_json_objects,
)

_POOLINGS: Mapping[str, Pooling] = {
    "cls": Pooling.CLS,
    "mean": Pooling.MEAN,
    "lasttoken": Pooling.LAST,
}
"""By pooling_mode."""
_FLAG = "pooling_mode_"
_FLAGS: Mapping[str, str] = {"cls_token": "cls", "mean_tokens": "mean"}
"""Before release 6, sentence-transformers wrote a flag for each mode, some under longer names."""


def read_embedding_config(folder: Path) -> EmbeddingConfig | None:
    """Return how sentence-transformers makes vectors; None for a model that it is not made for.

    Raises WeightsError for steps that would be left out, such as a dense layer.
    """
    path = folder / MODULES
    if not path.exists():
        return None
    poolings: list[Pooling] = []
    normalize = False
    for module in read_json_objects(path):
        match str(module.get("type")).rpartition(".")[2]:
            case "Transformer":
                pass
            case "Pooling":
                poolings.append(_read_pooling(folder, f"{module.get('path')}/{CONFIG}"))
            case "Normalize":
                normalize = True
            case other:
                raise WeightsError(f"{path}: the module {other!r} is not supported")
    if len(poolings) != 1:
        raise WeightsError(f"{path}: {len(poolings)} pooling modules, expected one")
    return EmbeddingConfig(poolings[0], normalize)


def _read_pooling(folder: Path, name: str) -> Pooling:
    if not is_pooling_config(name):
        raise WeightsError(f"{folder / MODULES}: {name!r} is not the config of a pooling module")
    mode = _mode(read_json(folder / name))
    pooling = _POOLINGS.get(mode) if isinstance(mode, str) else None
    if pooling is None:
        raise WeightsError(f"{folder / name}: pooling_mode {mode!r} is not supported")
    return pooling


def _mode(config: Mapping[str, Any]) -> object:
    """Return the mode, or a list of several, whose vectors would be concatenated."""
    flags = [key.removeprefix(_FLAG) for key, on in config.items() if key.startswith(_FLAG) and on]
    modes = config.get("pooling_mode", [_FLAGS.get(flag, flag) for flag in flags] or "mean")
    return modes[0] if isinstance(modes, list) and len(modes) == 1 else modes
