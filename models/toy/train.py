"""Train the toy ladder: `python models/toy/train.py [--model toy-2m] [--minutes 30]`.

Resumes from the last checkpoint; Ctrl-C or SIGTERM saves one, exports the folder and ends.
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
CHECKPOINT_SECONDS = 60.0  # the most work a crash can cost


def run(
    trainer: Trainer, minutes: float, folder: Path, stop: Event, max_steps: float = math.inf
) -> None:
    """Train until the budget is spent or `stop` is set; save and export.

    The budget is processor time, so a busy machine gives a later model and not a worse one.
    """
    progress, started = trainer.progress, time.process_time()
    before, saved, begun_at = progress.seconds, time.monotonic(), progress.step
    LOG.info("%s: step %d, %.1f min of %.0f", trainer.size.name, begun_at, before / 60, minutes)
    mean = 0.0
    while (
        progress.seconds < minutes * 60
        and not stop.is_set()
        and progress.step - begun_at < max_steps
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
    """Give `folder` the tokenizer of the first model, training that where there is none yet.

    One is trained and copied, because a model grown from another must read the same tokens.
    """
    if not (first / "tokenizer.json").exists():
        save_tokenizer(train_tokenizer(SEED), first)
    if not (folder / "tokenizer.json").exists():
        copy_tokenizer(first, folder)
    return load_tokenizer(folder)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--model", choices=list(STAGES), action="append", help="which (default: all, in turn)")
    add("--minutes", type=float, help="of processor time, earlier runs counted (default: sizes.py)")
    add("--threads", type=int, default=1, help="two processes of one beat one of two")
    add("--output", type=Path, default=FOLDER, help="where the folders are written")
    add("--work", type=Path, default=WORK, help="where the checkpoints are")
    add("--max-steps", type=float, default=math.inf, help="end after this many steps")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the named model, or all stages in turn."""
    chosen = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(chosen.threads)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    LOG.info("seed %d", SEED)
    for size in (STAGES[name] for name in chosen.model or STAGES):
        folder = (chosen.work if size.name in PRACTICE else chosen.output) / size.name
        tokenizer = ensure_tokenizer(folder, chosen.output / FIRST)
        trainer = Trainer(size, tokenizer, chosen.work)
        trainer.load()
        trainer.begin(chosen.output)
        run(trainer, chosen.minutes or size.minutes, folder, stop, chosen.max_steps)
        if stop.is_set():
            break


if __name__ == "__main__":
    main()
