from itertools import pairwise

import pytest

from sizeup_loadtest.report.charts import labels, scales


def test_ticks() -> None:
    assert scales.from_zero(93, 0, 100, 5).ticks() == (0, 20, 40, 60, 80, 100)
    log = scales.Scale(1, 100, 0, 200, is_log=True)
    assert log.at(10) == pytest.approx(100)
    assert log.ticks() == pytest.approx((1, 3, 10, 30, 100))


def test_a_label_avoids_lines() -> None:
    within = labels.Box(0, 0, 400, 400)
    disc, line = (200.0, 200.0, 5.0), ((100.0, 200.0), (300.0, 200.0))
    (free,) = labels.around([disc], ["a name"], within)
    assert free.anchor == "start"
    assert free.y == pytest.approx(204)
    (moved,) = labels.around([disc], ["a name"], within, [line])
    assert moved.y < 195
    box = labels.Box(10, 10, 20, 20)
    assert box.crossed(((0, 0), (30, 30)))
    assert not box.crossed(((0, 0), (30, 8)))
    assert not box.crossed(((15, 0), (15, 9)))


def test_labels_do_not_overlap() -> None:
    ordered = sorted(labels.spread([10, 11, 12, 100], 15, 100))
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))
    assert max(ordered) <= 100


def test_shortened_names_of_sizes_differ() -> None:
    names = [f"Qwen/Qwen2.5-{size}-Instruct" for size in ("0.5B", "1.5B", "3B", "72B")]
    for most in (14, 18):
        short = [labels.shortened(name, most) for name in names]
        assert len(set(short)) == len(names)
        assert max(map(len, short)) <= most
    assert labels.shortened("qwen2.5:7b") == "qwen2.5:7b"
    assert labels.shortened("Qwen/Qwen3-8B-Instruct") == "Qwen3-8B-Instruct"


def test_ideographs_are_wider_than_letters() -> None:
    assert labels.width("千问") > 1.5 * labels.width("ab")
