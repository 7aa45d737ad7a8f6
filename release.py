"""Write a new version into every file that states it: `make release VERSION=1.2.3`.

The version is the chart's appVersion. The packages, the chart, the images and the documentation
carry the same one; tests/test_release.py compares them.
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent
_NUMBER = r"\d+\.\d+\.\d+"
PLACES: tuple[tuple[str, str], ...] = (
    ("charts/sizeup/Chart.yaml", r'^appVersion: "(.+)"$'),
    ("charts/sizeup/Chart.yaml", r"^version: (.+)$"),
    ("services/*/pyproject.toml", r'^version = "(.+)"$'),
    ("loadtest/pyproject.toml", r'^version = "(.+)"$'),
    ("docker-bake.hcl", r'^variable "TAG" \{ default = "(.+)" \}$'),
    ("docs/kubernetes.md", rf"name: sizeup, version: ({_NUMBER})"),
    # Images by name and tag, and files named after them.
    ("docs/operations.md", rf"sizeup-[a-z]+:({_NUMBER})"),
    ("docs/kubernetes.md", rf"(?:sizeup-[\w${{}}]+|gateway|inference|cli|toys)[:-]({_NUMBER})"),
)
"""Globs, and patterns whose group is the version. The others follow the first."""
_UNRELEASED = re.compile(r"^## Unreleased\n+(?=(.?))", re.MULTILINE)


class ReleaseError(Exception):
    """The version cannot be released; the message states why."""


def stated(root: Path) -> dict[str, set[str]]:
    """Return the versions that each file states; a file without any has an empty set."""
    found: dict[str, set[str]] = {}
    for glob, pattern in PLACES:
        for file in sorted(root.glob(glob)):
            versions = re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
            found.setdefault(str(file.relative_to(root)), set()).update(versions)
    return found


def current(root: Path) -> str:
    """Return the version of the chart's appVersion."""
    glob, pattern = PLACES[0]
    (version,) = re.findall(pattern, (root / glob).read_text(encoding="utf-8"), re.MULTILINE)
    return str(version)


def release(root: Path, version: str, date: str) -> None:
    """Write a version everywhere, and date the changelog's unreleased changes with it."""
    if not re.fullmatch(_NUMBER, version):
        raise ReleaseError(f"{version!r} is not of the form 1.2.3")
    if _ordered(version) <= _ordered(current(root)):
        raise ReleaseError(f"{version} is not newer than {current(root)}")
    changelog = root / "CHANGELOG.md"
    dated = _dated(changelog.read_text(encoding="utf-8"), version, date)
    for glob, pattern in PLACES:
        for file in root.glob(glob):
            file.write_text(_replaced(file.read_text(encoding="utf-8"), pattern, version), "utf-8")
    changelog.write_text(dated, encoding="utf-8")


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _replaced(text: str, pattern: str, version: str) -> str:
    def with_version(match: re.Match[str]) -> str:
        start, end = (match.start(1) - match.start(), match.end(1) - match.start())
        return match[0][:start] + version + match[0][end:]

    return re.sub(pattern, with_version, text, flags=re.MULTILINE)


def _dated(changelog: str, version: str, date: str) -> str:
    match = _UNRELEASED.search(changelog)
    if match is None or match[1] in ("", "#"):
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased")
    heading = f"## Unreleased\n\n## {version} ({date})\n\n"
    return changelog[: match.start()] + heading + changelog[match.end() :]


def main(arguments: list[str]) -> int:
    """Release the version given, or print the current one."""
    if not arguments:
        print(current(ROOT))
        return 0
    try:
        release(ROOT, arguments[0], datetime.now(UTC).date().isoformat())
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
