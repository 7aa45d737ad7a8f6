"""Whether tests of the compiled kernels can run."""

import shutil
import sysconfig

import pytest

from sizeup_inference.engine.kernels.library import LIBRARY, Level, load_library


def require_kernels() -> None:
    """Skip where the kernels cannot be built: without a C compiler. Elsewhere they must exist."""
    if load_library() is not None:
        return
    if shutil.which(compiler()) is None:
        pytest.skip("no C compiler")
    pytest.fail(f"{LIBRARY.name} is missing or does not load: install services/inference again")


def levels() -> list[Level]:
    """Return the levels of this processor."""
    library = load_library()
    best = Level.PORTABLE if library is None else library.sizeup_processor_level()
    return [level for level in Level if level <= best]


def compiler() -> str:
    """Return the name of the C compiler that this Python uses."""
    command: str = sysconfig.get_config_var("CC") or "cc"
    return command.split()[0]
