"""Generated pages are those of the code: `make docs` writes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from docs import make_api, make_architecture, make_benchmarks, make_chart_readme, make_reference
from docs.rooms import PACKAGES, ROOT, read_packages

GENERATED: dict[str, Callable[[], str]] = {
    "../charts/sizeup/README.md": make_chart_readme.page,
    "settings.md": make_reference.settings_page,
    "metrics.md": make_reference.metrics_page,
    "api.md": make_api.page,
    "architecture.md": lambda: make_architecture.page(
        make_architecture.PAGE.read_text(encoding="utf-8"), read_packages()
    ),
}

BENCHMARK_PAGES = {
    make_benchmarks.README: make_benchmarks.readme,
    make_benchmarks.BENCHMARKS: make_benchmarks.benchmarks_page,
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_page_is_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == GENERATED[name](), "run `make docs`"


@pytest.mark.parametrize("page", BENCHMARK_PAGES, ids=str)
def test_a_page_has_the_committed_results(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    machines = make_benchmarks.read_results()
    assert written == BENCHMARK_PAGES[page](written, machines), "run `make docs`"


def test_the_page_has_a_table_of_every_package() -> None:
    page = make_architecture.PAGE.read_text(encoding="utf-8")
    assert [name for name in PACKAGES if f"**`{name}`**" not in page] == []


def test_every_setting_has_a_description() -> None:
    rows = [line for line in make_reference.settings_page().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]


def test_every_package_is_read_with_its_rooms() -> None:
    packages = {package.name: package for package in read_packages()}
    folders = {file.parent.name for file in ROOT.glob("services/*/*/__init__.py")}
    assert set(packages) == {*folders, "sizeup_loadtest"}
    assert all(package.rooms for package in packages.values())
    assert packages["sizeup_gateway"].imports == ("sizeup_telemetry", "sizeup_wire")
