"""One version in every file, and how a release changes it."""

import re
import shutil
from pathlib import Path

import pytest

import release
from release import ROOT, ReleaseError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the files that state the version, with a changelog that has an unreleased change."""
    for name in release.stated(ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.0.1\n")
    return tmp_path


def test_every_file_states_the_version_of_the_chart() -> None:
    stated = release.stated(ROOT)
    assert {str(p.relative_to(ROOT)) for p in ROOT.glob("services/*/pyproject.toml")} < set(stated)
    assert set(map(frozenset, stated.values())) == {frozenset({release.current(ROOT)})}


def test_every_page_that_names_an_image_is_among_them() -> None:
    image = re.compile(rf"sizeup-[a-z]+:{re.escape(release.current(ROOT))}")
    pages = {
        str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md") if image.search(p.read_text())
    }
    assert pages
    assert pages <= set(release.stated(ROOT))


def test_a_release_changes_every_file(copy: Path) -> None:
    release.release(copy, "99.1.0", "2030-01-02")
    assert set(map(frozenset, release.stated(copy).values())) == {frozenset({"99.1.0"})}
    for name in release.stated(copy):
        assert release.current(ROOT) not in (copy / name).read_text()
    changelog = (copy / "CHANGELOG.md").read_text()
    assert "## Unreleased\n\n## 99.1.0 (2030-01-02)\n\n- New.\n\n## 0.0.1\n" in changelog


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-rc1", release.current(ROOT)])
def test_a_wrong_version_changes_nothing(copy: Path, version: str) -> None:
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    with pytest.raises(ReleaseError):
        release.release(copy, version, "2030-01-02")
    assert before == {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}


@pytest.mark.parametrize("changelog", ["# Changelog\n", "## Unreleased\n\n## 0.0.1\n"])
def test_a_release_needs_a_change(copy: Path, changelog: str) -> None:
    (copy / "CHANGELOG.md").write_text(changelog)
    with pytest.raises(ReleaseError):
        release.release(copy, "99.1.0", "2030-01-02")
    assert release.current(copy) == release.current(ROOT)
