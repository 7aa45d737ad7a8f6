"""Draw docs/architecture.svg, and write the tables of rooms into docs/architecture.md.

.venv/bin/python docs/make_architecture.py
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.layout import BOX_HEIGHT, Box, Layout, lay_out
from docs.rooms import ROOT, Package, read_packages

PICTURE = ROOT / "docs/architecture.svg"
PAGE = ROOT / "docs/architecture.md"
_BEGIN, _END = "<!-- rooms: make docs -->", "<!-- end of rooms -->"
_MARGIN = 24.0
_TITLE = 52.0
_PANEL_PADDING = 20.0
_MAX_WIDTH = 1500.0
"""Panels beyond it go to the next row."""
_STYLE = """
svg { font: 13px system-ui, sans-serif; --ink: #1f2328; --dim: #59636e; --panel: #f6f8fa;
  --line: #8c959f; --edge: #d1d9e0; --folder: #ddf4ff; --module: #ffffff; background: #ffffff }
@media (prefers-color-scheme: dark) { svg { --ink: #f0f6fc; --dim: #9198a1; --panel: #151b23;
  --line: #656c76; --edge: #3d444d; --folder: #121d2f; --module: #0d1117; background: #0d1117 } }
text { fill: var(--ink) } .title { font-weight: 600; font-size: 16px }
.name { text-anchor: middle } .dim { fill: var(--dim); font-size: 12px }
.panel { fill: var(--panel); stroke: var(--edge) }
.folder { fill: var(--folder); stroke: var(--line) }
.module { fill: var(--module); stroke: var(--edge) }
.arrow { fill: none; stroke: var(--line); stroke-width: 1.2; marker-end: url(#head) }
.head { fill: var(--line) }
"""
_MARKER = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path class="head" d="M0 0 8 4 0 8Z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A package with the layout of its rooms; `x` and `y` are its top left corner."""

    package: Package
    layout: Layout
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        title = max(len(self.package.name) * 9.5, len(_imports_line(self.package)) * 6.6)
        return max(self.layout.width, title) + 2 * _PANEL_PADDING

    @property
    def height(self) -> float:
        return self.layout.height + _TITLE + 2 * _PANEL_PADDING


def picture(packages: Sequence[Package]) -> str:
    """Return the diagram: a panel per package, importers above what they import."""
    panels = _placed(
        [_Panel(package, lay_out(package.ranks, package.direct)) for package in packages]
    )
    width = max(panel.x + panel.width for panel in panels) + _MARGIN
    height = max(panel.y + panel.height for panel in panels) + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        'aria-label="The rooms of each package and their imports">'
    )
    body = [line for panel in panels for line in _drawn(panel)]
    return "\n".join([head, f"<style>{_STYLE}</style>", _MARKER, *body, "</svg>"]) + "\n"


def _placed(panels: Sequence[_Panel]) -> list[_Panel]:
    """Place panels side by side, row below row."""
    placed: list[_Panel] = []
    x = y = _MARGIN
    tallest = 0.0
    for panel in panels:
        if placed and x + panel.width > _MAX_WIDTH:
            x, y, tallest = _MARGIN, y + tallest + _MARGIN, 0.0
        placed.append(_Panel(panel.package, panel.layout, x, y))
        x += panel.width + _MARGIN
        tallest = max(tallest, panel.height)
    return placed


def _drawn(panel: _Panel) -> list[str]:
    package, layout = panel.package, panel.layout
    left = panel.x + (panel.width - layout.width) / 2
    top = panel.y + _PANEL_PADDING + _TITLE
    text_x, text_y = panel.x + _PANEL_PADDING, panel.y + _PANEL_PADDING + 8
    return [
        f'<rect class="panel" x="{panel.x:.0f}" y="{panel.y:.0f}" width="{panel.width:.0f}" '
        f'height="{panel.height:.0f}" rx="10"/>',
        f'<text class="title" x="{text_x:.0f}" y="{text_y:.0f}">{package.name}</text>',
        f'<text class="dim" x="{text_x:.0f}" y="{text_y + 19:.0f}">{_imports_line(package)}</text>',
        *(_arrow(points, left, top) for points in layout.arrows),
        *(_box(package, box, left, top) for box in layout.boxes),
    ]


def _imports_line(package: Package) -> str:
    return f"imports {', '.join(package.imports) or 'no other package'}"


def _arrow(points: Sequence[tuple[float, float]], left: float, top: float) -> str:
    """Return a smooth line from the lower edge of the first box to the upper one of the last."""
    half = BOX_HEIGHT / 2
    places = [(left + x, top + y) for x, y in points]
    places[0] = (places[0][0], places[0][1] + half)
    places[-1] = (places[-1][0], places[-1][1] - half - 1)
    path = f"M{places[0][0]:.0f} {places[0][1]:.0f}"
    for (x1, y1), (x2, y2) in pairwise(places):
        middle = (y1 + y2) / 2
        path += f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path class="arrow" d="{path}"/>'


def _box(package: Package, box: Box, left: float, top: float) -> str:
    room = package.rooms[box.name]
    kind = "folder" if room.is_folder else "module"
    x, y = left + box.x, top + box.y
    return (
        f"<g><title>{escape(room.summary)}</title>"
        f'<rect class="{kind}" x="{x - box.width / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" '
        f'width="{box.width:.0f}" height="{BOX_HEIGHT:.0f}" rx="6"/>'
        f'<text class="name" x="{x:.0f}" y="{y + 4.5:.0f}">{box.name}</text></g>'
    )


def tables(packages: Sequence[Package]) -> str:
    """Return a table of rooms per package, each above those that it imports."""
    return "\n\n".join(_table(package) for package in packages)


def _table(package: Package) -> str:
    names = sorted(package.order, key=lambda name: (-package.ranks[name], name))
    rows = [_row(package, name) for name in names]
    head = ["| room | holds | imports |", "|---|---|---|"]
    return "\n".join([f"**`{package.name}`**", "", *head, *rows])


def _row(package: Package, name: str) -> str:
    room = package.rooms[name]
    imports = ", ".join(sorted(room.imports, key=lambda n: (-package.ranks[n], n)))
    suffix = "/" if room.is_folder else ".py"
    return f"| `{name}{suffix}` | {room.summary.replace('|', chr(92) + '|')} | {imports} |"


def page(text: str, packages: Sequence[Package]) -> str:
    """Return the page with its tables replaced."""
    block = f"{_BEGIN}\n\n{tables(packages)}\n\n{_END}"
    pattern = f"{re.escape(_BEGIN)}.*{re.escape(_END)}"
    return re.sub(pattern, lambda _: block, text, flags=re.DOTALL)


def main() -> None:
    """Write the picture and the tables."""
    packages = read_packages()
    PICTURE.write_text(picture(packages), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), packages), encoding="utf-8")


if __name__ == "__main__":
    main()
