"""Tensors and vocabulary of a model folder: megabytes of JSON, sent on request only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sizeup_store.weights import WeightsError, read_json, stored_tensors

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
"""Token types of GGUF."""

_MAX_TOKENS = 2**20
"""Several times the largest vocabulary: an id in a file must not allocate memory at will."""


def read_details(folder: Path) -> bytes:
    """Return the response of routes.MODEL_DETAILS; raise WeightsError for invalid files."""
    tensors = [
        {"name": tensor.name, "type": tensor.dtype, "shape": tensor.shape}
        for tensor in stored_tensors(folder)
    ]
    file = folder / "tokenizer.json"
    tokenizer = read_json(file) if file.is_file() else {}
    try:
        model = tokenizer.get("model") or {"vocab": {}, "merges": []}
        vocabulary = _vocabulary(model["vocab"], tokenizer.get("added_tokens") or ())
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{file}: not a byte-level BPE ({error!r})") from error
    tokens, types = zip(*vocabulary, strict=True) if vocabulary else ((), ())
    return to_lines(tensors, tokens, merges, types)


def to_lines(*arrays: Sequence[Any]) -> bytes:
    """Return one JSON array per line."""
    lines = (json.dumps(a, ensure_ascii=False, separators=(",", ":")) for a in arrays)
    return "".join(f"{line}\n" for line in lines).encode()


def _vocabulary(
    ids: Mapping[str, Any], added: Iterable[Mapping[str, Any]]
) -> Sequence[tuple[str, int]]:
    """Return every token with its type, at the index of its id."""
    by_id = {int(i): (str(token), _NORMAL) for token, i in ids.items()}
    for token in added:
        kind = _CONTROL if token.get("special") else _USER_DEFINED
        by_id[int(token["id"])] = str(token["content"]), kind
    if not all(0 <= i < _MAX_TOKENS for i in by_id):
        raise ValueError("token id out of range")
    return [by_id.get(i, (f"[PAD{i}]", _UNUSED)) for i in range(max(by_id, default=-1) + 1)]
