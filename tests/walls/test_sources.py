"""Walls that are not about imports: sizes, names, what is left unfinished."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for folder in ("services", "loadtest", "images", "models", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
    if not {".work", "build"} & set(file.parts)
)
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 50
NAMES_THAT_HIDE = {"utils", "util", "common", "helpers", "base", "misc", "shared"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")


@pytest.fixture(params=SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def source(request: pytest.FixtureRequest) -> Path:
    file: Path = request.param
    return file


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_file_can_be_read_in_one_sitting(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= MAX_FILE_LINES


def test_a_function_fits_a_screen(source: Path) -> None:
    long = {
        f.name: f.end_lineno - f.lineno + 1
        for f in functions(source)
        if f.end_lineno is not None and f.end_lineno - f.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}


def test_a_module_is_named_after_what_it_holds(source: Path) -> None:
    assert source.stem not in NAMES_THAT_HIDE


def test_nothing_is_left_unfinished(source: Path) -> None:
    assert UNFINISHED.findall(source.read_text()) == []


def test_an_exception_is_never_dropped(source: Path) -> None:
    silent = [
        node.lineno
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and [type(s) for s in node.body] == [ast.Pass]
        and (node.type is None or "Exception" in ast.unparse(node.type).split("."))
    ]
    assert silent == []


def test_metrics_are_declared_in_metrics_py(source: Path) -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
        for alias in node.names
    }
    declares = imported & {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
    assert not declares or source.name == "metrics.py"
