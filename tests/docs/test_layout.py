"""The picture of the rooms: importers above, boxes apart, no arrow twice."""

from itertools import combinations

import pytest

from docs.layout import BOX_HEIGHT, Layout, lay_out
from docs.rooms import Package, Room, RoomCycleError


def package(**imports: str) -> Package:
    """Make a package; each room names its imports, apart by blanks."""
    rooms = {
        name: Room(name, is_folder=True, summary="", imports=frozenset(names.split()))
        for name, names in imports.items()
    }
    return Package("p", rooms, ())


TREE = package(app="api pool errors", api="pool errors", pool="errors", errors="", settings="")


@pytest.fixture
def layout() -> Layout:
    return lay_out(TREE.ranks, TREE.direct)


def test_implied_imports_are_left_out() -> None:
    assert TREE.direct == {
        "app": {"api"},
        "api": {"pool"},
        "pool": {"errors"},
        "errors": set(),
        "settings": set(),
    }


def test_a_room_is_ranked_above_all_that_it_imports() -> None:
    assert TREE.ranks == {"app": 3, "api": 2, "pool": 1, "errors": 0, "settings": 0}
    assert TREE.order.index("errors") < TREE.order.index("pool") < TREE.order.index("app")


def test_rooms_in_a_circle_are_named() -> None:
    with pytest.raises(RoomCycleError, match=r"p: .*(a -> b|b -> a)"):
        _ = package(a="b", b="a").order


def test_every_arrow_points_down(layout: Layout) -> None:
    assert len(layout.arrows) == sum(map(len, TREE.direct.values()))
    for arrow in layout.arrows:
        heights = [y for _, y in arrow]
        assert heights == sorted(heights)
        assert heights[0] < heights[-1]


def test_a_long_arrow_passes_every_rank() -> None:
    made = package(a="b c", b="x", c="", x="y", y="")
    (ends,) = [a for a in lay_out(made.ranks, made.direct).arrows if len(a) > 2]
    assert len(ends) == made.ranks["a"] - made.ranks["c"] + 1


def test_boxes_are_apart_and_inside(layout: Layout) -> None:
    assert {box.name for box in layout.boxes} == set(TREE.rooms)
    for box in layout.boxes:
        assert box.x - box.width / 2 >= 0
        assert box.x + box.width / 2 <= layout.width
        assert BOX_HEIGHT / 2 <= box.y <= layout.height - BOX_HEIGHT / 2
    for a, b in combinations(layout.boxes, 2):
        assert a.y != b.y or abs(a.x - b.x) >= (a.width + b.width) / 2


def test_a_layout_is_the_same_again(layout: Layout) -> None:
    assert lay_out(TREE.ranks, TREE.direct) == layout
