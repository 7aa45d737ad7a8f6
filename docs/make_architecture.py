"""Write the diagram and the tables of rooms into docs/architecture.md.

.venv/bin/python docs/make_architecture.py
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.rooms import ROOT, Package, read_packages

PAGE = ROOT / "docs/architecture.md"


def diagram(packages: Sequence[Package]) -> str:
    """Return a Mermaid flowchart of the packages."""
    names = [f'  {package.name}["{package.name}"]' for package in packages]
    arrows = [f"  {package.name} --> {other}" for package in packages for other in package.imports]
    return "\n".join(["```mermaid", "flowchart TB", *names, *arrows, "```"])


def room_diagram(package: Package) -> str:
    """Return a Mermaid flowchart of a package's rooms, without transitive arrows."""
    return "\n".join(["```mermaid", "flowchart LR", *_room_lines(package), "```"])


def _room_lines(package: Package) -> Iterator[str]:
    """Yield the rooms, importers first, and then their arrows; a box is a folder."""
    for name in reversed(package.order):
        shape = f'["{name}/"]' if package.rooms[name].is_folder else f'("{name}.py")'
        yield f"  room_{name}{shape}"
    for name in reversed(package.order):
        for imported in sorted(package.direct[name]):
            yield f"  room_{name} --> room_{imported}"


def tables(packages: Sequence[Package]) -> str:
    """Return a diagram and a table of rooms per package, each room above those that it imports."""
    return "\n\n".join(
        f"**`{package.name}`**\n\n{room_diagram(package)}\n\n{_table(package)}"
        for package in packages
    )


def _table(package: Package) -> str:
    names = sorted(package.order, key=lambda name: (-package.ranks[name], name))
    rows = [_row(package, name) for name in names]
    head = ["| room | holds | imports |", "|---|---|---|"]
    return "\n".join([*head, *rows])


def _row(package: Package, name: str) -> str:
    room = package.rooms[name]
    imports = ", ".join(sorted(room.imports, key=lambda n: (-package.ranks[n], n)))
    suffix = "/" if room.is_folder else ".py"
    return f"| `{name}{suffix}` | {room.summary.replace('|', chr(92) + '|')} | {imports} |"


def page(text: str, packages: Sequence[Package]) -> str:
    """Return the page with its diagram and its tables replaced."""
    for name, block in (("diagram", diagram(packages)), ("rooms", tables(packages))):
        begin, end = f"<!-- {name}: make docs -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    return text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read_packages()), encoding="utf-8")


if __name__ == "__main__":
    main()
