"""The files with the weights of each peer, written once per shape."""

import subprocess
from pathlib import Path

from engine_peers.catalog import LLAMA_PYTHON, PeerKind
from random_model import cached_folder


def weights(kind: PeerKind, cache: Path, shape: str, dtype: str) -> Path:
    """Return the model folder or GGUF file of a peer, written unless it exists."""
    folder = cached_folder(cache, shape, dtype)
    if not kind.uses_gguf:
        return folder
    plain = folder.with_name(f"{folder.name}.gguf")
    if not plain.exists():
        _write_gguf(str(folder), str(plain))
    if kind.quantization is None:
        return plain
    quantized = folder.with_name(f"{folder.name}-{kind.quantization}.gguf")
    if not quantized.exists():
        _write_gguf(str(plain), str(quantized), kind.quantization)
    return quantized


def _write_gguf(*arguments: str) -> None:
    script = Path(__file__).with_name("gguf_file.py")
    subprocess.run([LLAMA_PYTHON, script, *arguments], check=True)
