"""The files with the weights of each peer, written once per shape."""

import subprocess
from pathlib import Path

from engine_peers.catalog import LLAMA_PYTHON, PeerKind
from random_model import cached_folder


def weights(kind: PeerKind, cache: Path, shape: str, dtype: str, device: str) -> Path:
    """Return the model folder or GGUF file of a peer, written unless it exists."""
    folder = cached_folder(cache, shape, dtype, device)
    if not kind.uses_gguf:
        return folder
    plain = folder.with_name(f"{folder.name}.gguf")
    if not plain.exists():
        _write_gguf(folder, plain)
    if kind.quantization is None:
        return plain
    quantized = folder.with_name(f"{folder.name}-{kind.quantization}.gguf")
    if not quantized.exists():
        _write_gguf(plain, quantized, kind.quantization)
    return quantized


def _write_gguf(source: Path, target: Path, *quantization: str) -> None:
    argv = [str(LLAMA_PYTHON), "-m", "engine_peers.gguf_file"]
    argv += [str(source.absolute()), str(target.absolute()), *quantization]
    subprocess.run(argv, cwd=Path(__file__).parents[1], check=True)
