"""Trains the toy models: `python models/toy/train.py [--model toy-2m] [--minutes 30]`.

Resumes from the last checkpoint; on Ctrl-C or SIGTERM it saves one, exports the folder and exits.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import torch
from transformers import PreTrainedTokenizerBase

from network import export
from sizes import FIRST, FOLDER, PRACTICE, SEED, STAGES, WORK
from tokenizer import copy_tokenizer, load_tokenizer, save_tokenizer, train_tokenizer
from trainer import Trainer, rate_factor

LOG = logging.getLogger("toy")
CHECKPOINT_SECONDS = 60.0  # the most training time that a crash can lose


def run(
    trainer: Trainer, minutes: float, folder: Path, stop: Event, max_steps: float = math.inf
) -> None:
    """Train until the budget is used up or `stop` is set; then save and export.

    The budget is CPU time, so that results do not depend on how busy the machine is.
    """
    progress, started = trainer.progress, time.process_time()
    before, saved, first_step = progress.seconds, time.monotonic(), progress.step
    LOG.info("%s: step %d, %.1f min of %.0f", trainer.size.name, first_step, before / 60, minutes)
    mean = 0.0
    while (
        progress.seconds < minutes * 60
        and not stop.is_set()
        and progress.step - first_step < max_steps
    ):
        loss = trainer.step(rate_factor(progress.step, progress.seconds / (minutes * 60)))
        mean = loss if mean == 0.0 else 0.95 * mean + 0.05 * loss
        progress.seconds = before + time.process_time() - started
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            trainer.save()
            _report(trainer, mean)
    trainer.save()
    export(trainer.model, trainer.tokenizer, folder)
    _report(trainer, mean)


def _report(trainer: Trainer, loss: float) -> None:
    p = trainer.progress
    kinds = " ".join(f"{kind}={100 * value:.0f}" for kind, value in p.accuracy.items())
    done = f"{p.seconds / 60:.1f} min, step {p.step}, {p.tokens / 1e6:.2f}M tokens, {p.items} items"
    LOG.info("%s: %s, loss %.4f | %s", trainer.size.name, done, loss, kinds)


def ensure_tokenizer(folder: Path, first: Path) -> PreTrainedTokenizerBase:
    """Copy the tokenizer of the first model to `folder`, and train it if it does not exist.

    All models share one, because a grown model must use the same token ids.
    """
    if not (first / "tokenizer.json").exists():
        save_tokenizer(train_tokenizer(SEED), first)
    if not (folder / "tokenizer.json").exists():
        copy_tokenizer(first, folder)
    return load_tokenizer(folder)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--model",
        choices=list(STAGES),
        action="append",
        help="stage to train, repeatable (default: all)",
    )
    add("--minutes", type=float, help="CPU time including earlier runs (default: sizes.py)")
    add("--threads", type=int, default=1, help="torch threads; 1 is the most efficient")
    add("--output", type=Path, default=FOLDER, help="parent of the model folders")
    add("--work", type=Path, default=WORK, help="folder of the checkpoints")
    add("--max-steps", type=float, default=math.inf, help="stop after this many steps")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the chosen stages, or all in order."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    LOG.info("seed %d", SEED)
    for size in (STAGES[name] for name in options.model or STAGES):
        folder = (options.work if size.name in PRACTICE else options.output) / size.name
        tokenizer = ensure_tokenizer(folder, options.output / FIRST)
        trainer = Trainer(size, tokenizer, options.work)
        trainer.load()
        trainer.initialize(options.output)
        run(trainer, options.minutes or size.minutes, folder, stop, options.max_steps)
        if stop.is_set():
            break


if __name__ == "__main__":
    main()
