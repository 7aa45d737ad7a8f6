import ctypes.util
from pathlib import Path

from inference.engine.built_kernels import require_kernels
from sizeup_inference.engine.kernels.library import Level, load_library


def test_the_kernels_are_built() -> None:
    require_kernels()
    library = load_library()
    assert library is not None
    assert Level(library.sizeup_processor_level()) in Level


def test_a_missing_library_is_none(tmp_path: Path) -> None:
    assert load_library(tmp_path / "absent.so") is None


def test_a_library_of_another_machine_is_none(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.so"
    elf_for_unknown_machine = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xff\xff" + bytes(44)
    foreign.write_bytes(elf_for_unknown_machine)
    assert load_library(foreign) is None


def test_a_library_without_the_kernels_is_none() -> None:
    other = ctypes.util.find_library("c")
    assert other is not None
    assert load_library(Path(other)) is None
