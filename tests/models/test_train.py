"""Training resumes exactly where it stopped and exports a folder that loads."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from mixture import BASE_WEIGHTS, KINDS
from network import build, grow
from sizes import SIZES
from train import run
from trainer import DECAY_FROM, WARMUP_STEPS, Trainer, mixture_weights, rate_factor

STEP = 4


@pytest.fixture(autouse=True)
def few_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce a step to four items, for speed."""
    monkeypatch.setattr("trainer.ITEMS_PER_STEP", STEP)


TINY = SIZES["toy-0.5m"]


def test_stopped_run_resumes_and_exports(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    run(Trainer(TINY, tokenizer, tmp_path), 1.0, tmp_path / "out", Event(), max_steps=2)
    assert not list(tmp_path.glob("*.tmp"))
    resumed = Trainer(TINY, tokenizer, tmp_path)
    resumed.load()
    run(resumed, 1.0, tmp_path / "out", Event(), max_steps=2)
    assert resumed.progress.step == 4
    assert resumed.progress.items == 4 * STEP
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    for name, stored in loaded.state_dict().items():
        trained = resumed.model.state_dict()[name]
        torch.testing.assert_close(stored, trained.half().float())


def test_resumed_run_equals_an_uninterrupted_run(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    uninterrupted, first = (
        Trainer(TINY, tokenizer, tmp_path / "a"),
        Trainer(TINY, tokenizer, tmp_path / "b"),
    )
    for trainer in (uninterrupted, uninterrupted, first):
        trainer.step(0.5)
    first.save()
    second = Trainer(TINY, tokenizer, tmp_path / "b")
    second.load()
    second.step(0.5)
    for name, weights in uninterrupted.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], weights)


def test_stop_event_saves_and_exports_immediately(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    stop = Event()
    stop.set()
    trainer = Trainer(TINY, tokenizer, tmp_path)
    run(trainer, 1.0, tmp_path / "out", stop)
    assert trainer.progress.step == 0
    assert trainer.checkpoint.exists()
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_learning_rate_schedule() -> None:
    assert rate_factor(0, 0.0) == pytest.approx(1 / WARMUP_STEPS)
    assert rate_factor(WARMUP_STEPS, DECAY_FROM) == pytest.approx(1.0)
    assert rate_factor(WARMUP_STEPS, (1 + DECAY_FROM) / 2) == pytest.approx(0.5)
    assert rate_factor(WARMUP_STEPS, 1.1) == 0.0


def test_grown_model_computes_the_same_as_the_smaller() -> None:
    torch.manual_seed(3)
    sizes = [SIZES["toy-0.5m"], SIZES["toy-2m"], SIZES["toy-5m"]]
    small, middle, large = (build(size) for size in sizes)
    for weights in small.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    grow(small, middle)
    grow(middle, large)
    ids = torch.randint(0, 1000, (2, 30))
    with torch.inference_mode():
        expected = small(ids).logits
        torch.testing.assert_close(middle(ids).logits, expected, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(large(ids).logits, expected, atol=1e-3, rtol=1e-3)


def test_mixture_favours_inaccurate_kinds_and_drops_none() -> None:
    accuracy = dict.fromkeys(KINDS, 0.5) | {"copy": 1.0, "reverse": 0.0}
    weights = mixture_weights(BASE_WEIGHTS, accuracy)
    assert weights["reverse"] / BASE_WEIGHTS["reverse"] > weights["fact"] / BASE_WEIGHTS["fact"]
    assert 0 < weights["copy"] < weights["reverse"]
