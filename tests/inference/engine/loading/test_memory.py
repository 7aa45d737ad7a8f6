"""How much memory a KV pool gets."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from inference.small_model import small_model
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.memory import (
    PoolOptions,
    available_memory_bytes,
    count_pages,
    gpu_budget,
    gpu_fraction,
    make_pool,
    usable_gpu_bytes,
)

CPU, GPU_0, GPU_1 = torch.device("cpu"), torch.device("cuda:0"), torch.device("cuda:1")
GIB = 1 << 30


@pytest.mark.parametrize(
    ("budgets", "page_bytes", "max_tokens", "kv_cache_bytes", "pages"),
    [
        ({CPU: 1000}, {CPU: 100}, 10**6, None, 10),
        ({CPU: 1000}, {CPU: 100}, 64, None, 4),
        ({CPU: 1000}, {CPU: 100}, 65, None, 5),
        ({CPU: 0}, {CPU: 100}, 10**6, 550, 5),
        ({CPU: 100}, {CPU: 100}, 10**6, None, 1),
        ({GPU_0: 1000, GPU_1: 300}, {GPU_0: 100, GPU_1: 50}, 10**6, None, 6),
        ({GPU_0: 0, GPU_1: 0}, {GPU_0: 100, GPU_1: 50}, 10**6, 450, 3),
    ],
)
def test_pages_are_limited_by_budget_and_use(
    budgets: Mapping[torch.device, int],
    page_bytes: Mapping[torch.device, int],
    max_tokens: int,
    kv_cache_bytes: int | None,
    pages: int,
) -> None:
    options = PoolOptions(1, max_tokens, kv_cache_bytes)
    assert count_pages(budgets, page_bytes, options, 16) == pages


@pytest.mark.parametrize("budget", [99, 0, -5])
def test_a_budget_below_one_page_is_an_error(budget: int) -> None:
    with pytest.raises(LoadError, match="a page of 16 tokens needs 100 bytes"):
        count_pages({CPU: budget}, {CPU: 100}, PoolOptions(1, 10**6), 16)


def test_the_pool_has_the_shape_of_the_model() -> None:
    model = small_model().bfloat16()
    pool = make_pool(model, PoolOptions(sequences=1, max_model_len=100), 16)
    assert pool.layout.pages == 7
    assert len(pool.keys) == len(pool.values) == 2
    # 7 pages of 16 tokens, 2 KV heads of 8
    assert {(t.shape, t.dtype) for t in (*pool.keys, *pool.values)} == {
        (torch.Size((112, 2, 8)), torch.bfloat16)
    }
    assert pool.layout.bytes_per_page(2, torch.bfloat16) == 2 * 2 * 16 * 2 * 8 * 2


def test_available_memory_is_within_the_total() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory_bytes() <= total


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "1000\n", "memory.current": "400\n"}, 600),
        ({"memory.max": "1000\n"}, 1000),
        (
            {
                "memory.max": "1000",
                "memory.current": "400",
                "memory.stat": "anon 9\ninactive_file 250\n",
            },
            850,
        ),
    ],
)
def test_the_cgroup_limit_applies(tmp_path: Path, files: Mapping[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert available_memory_bytes(tmp_path) == expected


def test_without_a_cgroup_limit_the_hosts_memory_applies(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text(f"{1 << 60}\n")
    assert available_memory_bytes(tmp_path) > 0


def test_padding_pages_come_after_those_of_sequences() -> None:
    pool = make_pool(small_model(), PoolOptions(2, 20), 16, padding_pages=1)
    assert pool.layout.pages == 4
    assert pool.keys[0].shape[0] == 5 * 16


@pytest.mark.parametrize(
    ("sequences", "max_model_len", "pages"), [(3, 16, 3), (3, 17, 6), (1, 1, 1), (2, 64, 8)]
)
def test_every_sequence_may_fill_its_last_page(
    sequences: int, max_model_len: int, pages: int
) -> None:
    options = PoolOptions(sequences, max_model_len)
    assert count_pages({CPU: 10**9}, {CPU: 100}, options, 16) == pages


@pytest.mark.parametrize(
    ("free", "allocated", "limit", "budget"),
    [
        (20 * GIB, 4 * GIB, None, 17 * GIB),
        (20 * GIB, 4 * GIB, 10 * GIB + (GIB >> 1), 5.1 * GIB),  # 6 GiB are left of the limit
        (2 * GIB, 4 * GIB, 10 * GIB, 1.7 * GIB),  # others have taken their part
        (20 * GIB, 4 * GIB, 4 * GIB, -0.425 * GIB),  # none: an error of count_pages
    ],
)
def test_the_kv_pool_of_a_gpu_stays_within_the_limit(
    free: int, allocated: int, limit: int | None, budget: float
) -> None:
    assert gpu_budget(free, allocated, limit) == pytest.approx(budget)


def test_placement_counts_what_the_process_may_use() -> None:
    assert usable_gpu_bytes(20 * GIB, None) == 20 * GIB
    assert usable_gpu_bytes(20 * GIB, 10 * GIB + (GIB >> 1)) == 10 * GIB
    assert usable_gpu_bytes(2 * GIB, 10 * GIB) == 2 * GIB


def test_allocations_stay_within_the_limit_and_the_gpu() -> None:
    assert gpu_fraction(10 * GIB + (GIB >> 1), 40 * GIB) == 0.25
    assert gpu_fraction(80 * GIB, 79 * GIB) == 1.0
    with pytest.raises(LoadError):
        gpu_fraction(GIB >> 1, 40 * GIB)
