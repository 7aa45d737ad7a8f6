"""The rooms of each package and the imports between them, read from the source.

A room is a folder directly below a package, or a module at the package's root.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = sorted(
    [*(ROOT / "services").glob("*/*/__init__.py"), *(ROOT / "loadtest").glob("*/__init__.py")]
)
PACKAGES = tuple(file.parent.name for file in _FOLDERS)


class RoomCycleError(Exception):
    """Rooms that import one another; the message names them."""


@dataclass(frozen=True, slots=True)
class Room:
    """A folder or a module of a package."""

    name: str
    is_folder: bool
    summary: str
    """First line of the docstring."""
    imports: frozenset[str]
    """Names of rooms of the same package."""


@dataclass(frozen=True)
class Package:
    """A package and its rooms by name."""

    name: str
    rooms: Mapping[str, Room]
    imports: tuple[str, ...]
    """Other packages of this repository."""

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Rooms in topological order, imported ones first; raises RoomCycleError."""
        try:
            graph = {name: sorted(room.imports) for name, room in sorted(self.rooms.items())}
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise RoomCycleError(f"{self.name}: {' -> '.join(error.args[1])}") from None

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Length of the longest chain of imports below each room; 0 imports none."""
        ranks: dict[str, int] = {}
        for name in self.order:
            ranks[name] = max((ranks[i] + 1 for i in self.rooms[name].imports), default=0)
        return ranks

    @cached_property
    def direct(self) -> dict[str, frozenset[str]]:
        """Imports of each room without transitive ones."""
        below: dict[str, frozenset[str]] = {}
        for name in self.order:
            imports = self.rooms[name].imports
            below[name] = imports.union(*(below[i] for i in imports))
        return {
            name: room.imports.difference(*(below[i] for i in room.imports))
            for name, room in self.rooms.items()
        }


def read_packages() -> list[Package]:
    """Return every package: applications, the command line last of them, and then libraries."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    children = {package: sorted(graph.find_children(package)) for package in PACKAGES}
    folders = {room for rooms in children.values() for room in rooms if graph.find_children(room)}
    for room in folders:
        graph.squash_module(room)
    packages = [_package(graph, name, children[name], folders) for name in PACKAGES]
    imported = {name for package in packages for name in package.imports}
    return sorted(packages, key=lambda p: (p.name in imported, "_" not in p.name, p.name))


def _package(graph: grimp.ImportGraph, name: str, rooms: list[str], folders: set[str]) -> Package:
    imported = {room: graph.find_modules_directly_imported_by(room) for room in rooms}
    found = {
        room.removeprefix(f"{name}."): Room(
            room.removeprefix(f"{name}."),
            room in folders,
            _summary(room),
            frozenset(_names(imported[room] & set(rooms) - {room}, name)),
        )
        for room in rooms
    }
    others = {module.partition(".")[0] for modules in imported.values() for module in modules}
    return Package(name, found, tuple(sorted(others - {name})))


def _names(rooms: set[str], package: str) -> list[str]:
    return [room.removeprefix(f"{package}.") for room in rooms]


def _summary(module: str) -> str:
    """Return the first line of a module's docstring."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).read_text(encoding="utf-8")
    return (
        text.removeprefix('"""').partition("\n")[0].removesuffix('"""') if text[:3] == '"""' else ""
    )
