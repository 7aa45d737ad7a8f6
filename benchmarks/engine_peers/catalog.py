"""Which peers exist. Standard library only."""

import sys
from dataclasses import dataclass
from pathlib import Path

LLAMA_PYTHON = Path(__file__).parents[2] / ".venv-llama" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class PeerKind:
    """A program and the format of its weights."""

    title: str
    module: str
    """Of engine_peers."""
    quantization: str | None = None
    """Of a GGUF file, or when it is loaded; None: the dtype of the model."""

    @property
    def uses_gguf(self) -> bool:
        """Whether it is llama.cpp."""
        return self.module == "llama"

    @property
    def python(self) -> Path:
        """The interpreter that has its packages."""
        return LLAMA_PYTHON if self.uses_gguf else Path(sys.executable)


PEERS = {
    "sizeup": PeerKind("sizeup", "sizeup"),
    "sizeup-int8": PeerKind("sizeup int8", "sizeup", "int8"),
    "sizeup-int4": PeerKind("sizeup int4", "sizeup", "int4"),
    "generate": PeerKind("generate", "generate"),
    "cb": PeerKind("continuous batching", "continuous_batching"),
    "llama": PeerKind("llama.cpp", "llama"),
    "llama-q8_0": PeerKind("llama.cpp q8_0", "llama", "q8_0"),
    "llama-q4_0": PeerKind("llama.cpp q4_0", "llama", "q4_0"),
}
"""By the name of the option --peers. The first one is compared with the others."""


def available(kind: PeerKind, device: str) -> str | None:
    """Return why a peer cannot run here; None if it can."""
    if kind.uses_gguf and device != "cpu":
        return "llama.cpp is compared on CPUs only"
    if kind.uses_gguf and not LLAMA_PYTHON.exists():
        return "`make llama-venv` builds llama.cpp"
    return None
