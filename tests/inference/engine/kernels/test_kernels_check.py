"""The kernels under the sanitizers of the C compiler: see kernels_check.c."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from inference.engine.built_kernels import compiler, levels
from sizeup_inference.engine.kernels import library
from sizeup_inference.engine.kernels.library import Level

pytestmark = pytest.mark.sanitizers

SOURCES = Path(library.__file__).with_name("c")
CHECK = Path(__file__).with_name("kernels_check.c")
FLAGS = (
    "-std=gnu11",
    "-g",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-psabi",
    "-Wno-unknown-pragmas",
)
DEADLINE_SECONDS = 300


def build(folder: Path, sanitizers: str, sources: Sequence[Path]) -> Path:
    program = folder / "program"
    flags = (*FLAGS, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", f"-I{SOURCES}")
    command = [compiler(), *flags, *map(str, sources), "-o", str(program), "-lm", "-lpthread"]
    built = subprocess.run(command, timeout=DEADLINE_SECONDS, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


def require(folder: Path, sanitizers: str) -> None:
    """Skip where programs under these sanitizers cannot be built or run."""
    if shutil.which(compiler()) is None:
        pytest.skip("no C compiler")
    trivial = folder / "trivial.c"
    trivial.write_text("int main(void) { return 0; }\n")
    try:
        subprocess.run([build(folder, sanitizers, [trivial])], check=True, capture_output=True)
    except (AssertionError, subprocess.CalledProcessError):
        pytest.skip(f"no -fsanitize={sanitizers}")


@pytest.mark.parametrize(
    ("sanitizers", "tested"),
    [
        ("address,undefined", levels()),
        # ThreadSanitizer does not see what other instructions load and store.
        ("thread", [Level.PORTABLE]),
    ],
)
def test_the_kernels_pass_their_checks(
    tmp_path: Path, sanitizers: str, tested: Sequence[Level]
) -> None:
    require(tmp_path, sanitizers)
    # kernels_check.c includes threads.c.
    sources = [s for s in SOURCES.glob("*.c") if s.name != "threads.c"]
    program = build(tmp_path, sanitizers, [*sources, CHECK])
    for level in tested:
        ran = subprocess.run(
            [program, str(int(level))], timeout=DEADLINE_SECONDS, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"{level.name}: {ran.stderr[:4000]}"
