"""Write the lock files: `make lock`, with `uv pip compile`.

A lock pins everything that one installation installs, with the sha256 of every file that the
package index has for it, for Python 3.11 and newer, Linux and macOS. `pip install --require-hashes`
installs nothing else.

Versions stay as they are unless something requires others; `--upgrade` takes the newest.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_OPTIONS = (
    "--no-config", "--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate",
    "--custom-compile-command=make lock", "--quiet",
)  # fmt: skip
_PIN = re.compile(r"^([a-z0-9._-]+)==", re.MULTILINE)
_LOCAL = re.compile(r'^name = "(.+)"$', re.MULTILINE)
_CUDA = re.compile(r"(torch|triton|(cuda|nvidia)-.+)$")
"""torch, and what only its CUDA builds require. PyTorch's index of CPU builds has other files of
torch, so these have a lock of their own."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file."""

    file: str
    """Relative to the repository."""
    requirements: tuple[str, ...]
    """Requirements, folders of packages, or `-r` and a file of requirements."""


def services(*names: str) -> tuple[str, ...]:
    """Return requirements for packages of this repository, relative to its root."""
    return tuple(f"./services/{name}" for name in names)


EVERY_SERVICE = (
    *services(
        "wire", "telemetry[tracing]", "store", "gateway", "cli", "inference[torch,quantized]"
    ),
    "./loadtest",
)
BUILD = ("pip", "setuptools>=77")
"""What installs and builds the packages of this repository."""
TORCH = Lock("locks/torch.txt", ("torch",))
TOGETHER = (
    Lock("locks/build.txt", BUILD),
    Lock("locks/services.txt", EVERY_SERVICE),
    Lock("locks/dev.txt", ("-r requirements-dev.txt",)),
    # Of the images; engine.txt is added to inference.txt where there is torch, gpu.txt for CUDA.
    Lock("locks/gateway.txt", services("wire", "telemetry[tracing]", "gateway")),
    Lock("locks/cli.txt", services("wire", "telemetry", "store", "cli")),
    Lock("locks/inference.txt", services("wire", "telemetry[tracing]", "store", "inference")),
    Lock("locks/engine.txt", services("wire", "telemetry", "store", "inference[torch,quantized]")),
    Lock("locks/gpu.txt", ("torchao>=0.18",)),
    Lock("locks/loadtest.txt", ("./loadtest",)),
    TORCH,
)
"""Parts of one resolution: a package has the same version in all of them."""
ALONE = (
    Lock("locks/audit.txt", ("pip-audit",)),
    Lock("tests/chart/checkov.txt", ("checkov",)),
    Lock("tests/fuzz/requirements.txt", ("schemathesis",)),
    Lock("tests/clients/python/requirements.txt", ("-r tests/clients/python/requirements.in",)),
    Lock(
        "tests/clients/python_pinned/requirements.txt",
        ("-r tests/clients/python_pinned/requirements.in",),
    ),
    Lock("benchmarks/llama.txt", ("llama-cpp-python", "gguf")),
)
"""Programs with environments of their own, since their requirements conflict with ours."""


def names_in(lock: str) -> set[str]:
    """Return the packages that the text of a lock pins."""
    return set(_PIN.findall(lock))


def make(uv: Path, arguments: Sequence[str]) -> None:
    """Write every lock; `arguments` are further options of `uv pip compile`."""
    everything = _compile(uv, _seeded(lock for lock in TOGETHER), _every_requirement(), arguments)
    cuda = {name for name in names_in(everything) if _CUDA.match(name)}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as versions:
        versions.write(everything)
        versions.flush()
        for lock in TOGETHER:
            left_out = names_in(everything) - cuda if lock is TORCH else cuda
            options = [f"--constraints={versions.name}", *map(_left_out, sorted(left_out))]
            _write(lock, _compile(uv, "", lock.requirements, options))
    for lock in ALONE:
        _write(lock, _compile(uv, _seeded([lock]), lock.requirements, arguments))


def _every_requirement() -> list[str]:
    return [requirement for lock in TOGETHER for requirement in lock.requirements]


def _seeded(locks: Iterable[Lock]) -> str:
    """Return the pins of existing locks, whose versions uv prefers."""
    files = (ROOT / lock.file for lock in locks)
    texts = (file.read_text(encoding="utf-8") for file in files if file.exists())
    lines = (line.split()[0] for text in texts for line in text.splitlines() if _PIN.match(line))
    return "\n".join(sorted(set(lines)))


def _compile(uv: Path, pins: str, requirements: Iterable[str], options: Sequence[str]) -> str:
    """Return the lock of requirements, without the packages of this repository."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "lock.txt")
        output.write_text(pins, encoding="utf-8")
        argv = [str(uv), "pip", "compile", *_OPTIONS, *options, f"--output-file={output}", "-"]
        argv += map(_left_out, _local_names())
        subprocess.run(argv, cwd=ROOT, input="\n".join(requirements), text=True, check=True)
        return output.read_text(encoding="utf-8")


def _left_out(name: str) -> str:
    return f"--no-emit-package={name}"


def _local_names() -> list[str]:
    files = (*ROOT.glob("services/*/pyproject.toml"), ROOT / "loadtest/pyproject.toml")
    return sorted(_LOCAL.findall(file.read_text(encoding="utf-8"))[0] for file in files)


def _write(lock: Lock, text: str) -> None:
    (ROOT / lock.file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
