"""Heads that cannot be divided, and devices that are missing, are refused with their numbers."""

from pathlib import Path

import pytest

from inference.engine.random_configs import random_config
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.make_forward import ForwardOptions
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel.load_parallel import (
    check_divisible,
    choose_device_type,
    load_parallel,
)


@pytest.mark.parametrize(
    ("size", "refused"),
    [
        (2, None),
        (7, "7 .* 2 KV heads of"),
        (4, "4 .* 14 attention heads and 2 KV heads of"),
    ],
)
def test_both_kinds_of_heads_must_be_divided(size: int, refused: str | None) -> None:
    config = random_config("qwen2-gqa7-untied")
    if refused is None:
        check_divisible(config, size)
        return
    with pytest.raises(LoadError, match=refused):
        check_divisible(config, size)


def test_heads_are_checked_before_weights_are_read(tmp_path: Path) -> None:
    random_config("qwen2-gqa7-untied").save_pretrained(tmp_path)
    load = LoadOptions(tmp_path, "cpu", "auto", tensor_parallel=4)
    options = ForwardOptions(PoolOptions(1, 100), 1, 1)
    with pytest.raises(LoadError, match=r"4 .* 14"):
        load_parallel(load, options)


@pytest.mark.parametrize(
    ("device", "found", "gpus", "chosen"),
    [
        ("auto", "cpu", 0, "cpu"),
        ("cpu", "cpu", 0, "cpu"),
        ("auto", "cuda", 4, "cuda"),
        ("cuda", "cuda", 8, "cuda"),
    ],
)
def test_ranks_are_on_all_gpus_or_on_the_cpu(
    device: str, found: str, gpus: int, chosen: str
) -> None:
    assert choose_device_type(device, 4, found, gpus) == chosen


@pytest.mark.parametrize(
    ("device", "found", "gpus", "refused"),
    [
        ("auto", "cuda", 3, "4 GPUs: 3"),
        ("cuda", "cpu", 0, "4 GPUs: 0"),
        ("cuda:1", "cuda", 8, "cuda:1"),
        ("cpu", "cuda", 8, "8 visible"),
        ("auto", "mps", 0, "mps"),
    ],
)
def test_other_devices_are_refused(device: str, found: str, gpus: int, refused: str) -> None:
    with pytest.raises(LoadError, match=refused):
        choose_device_type(device, 4, found, gpus)
