"""Grade the toy ladder: `python models/toy/grade.py` prints exact-match accuracies as Markdown.

The models are loaded from their folders as users load them and decode greedily.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import mean

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mixture import GRADED, item
from sizes import FOLDER, SIZES
from tasks import Item
from tokenizer import load_tokenizer, render

GRADE_SEED = 4_711  # any but the training seed; the split keeps the subjects apart in any case
ITEMS_PER_KIND = 300  # a percentage from 300 answers has a standard error of at most 2.9 points
BATCH = 100


def graded_items(kind: str, count: int) -> list[Item]:
    """Draw the items of one kind that every model is graded on."""
    rng = Random(f"{GRADE_SEED}:{kind}")
    return [item(kind, rng, "grade") for _ in range(count)]


def _batches(items: Sequence[Item], texts: Sequence[str]) -> Iterator[list[int]]:
    """Group the indices of items of like length."""
    order = sorted(range(len(items)), key=lambda i: (len(items[i].answer), len(texts[i])))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


@torch.inference_mode()
def answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]
) -> list[str]:
    """Decode an answer to each item greedily, given one token more than the right answer has."""
    # Its own configuration samples; what `generate` is not told it would take from there
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    texts = [render(tokenizer, it, answered=False) for it in items]
    given = [""] * len(items)
    for indices in _batches(items, texts):
        inputs = tokenizer(
            [texts[i] for i in indices], padding=True, padding_side="left", return_tensors="pt"
        )
        longest = max(len(tokenizer(items[i].answer)["input_ids"]) for i in indices)
        output = model.generate(**inputs, max_new_tokens=longest + 1)  # type: ignore[operator]
        new = output[:, inputs["input_ids"].shape[1] :]
        for i, text in zip(
            indices, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
        ):
            given[i] = text
    return given


def accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]
) -> float:
    """Give the percentage of items answered exactly."""
    given = answers(model, tokenizer, items)
    return 100 * mean(text == it.answer for text, it in zip(given, items, strict=True))


def grade(folder: Path, count: int) -> dict[str, float]:
    """Grade the model in a folder on every graded kind."""
    tokenizer = load_tokenizer(folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    return {kind: accuracy(model, tokenizer, graded_items(kind, count)) for kind in GRADED}


def table(results: dict[str, dict[str, float]]) -> str:
    """Lay out accuracies by kind (rows) and model (columns) as Markdown."""
    names = list(results)
    lines = [f"| kind | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for kind in GRADED:
        lines.append(
            f"| {kind} | " + " | ".join(f"{results[name][kind]:.1f}" for name in names) + " |"
        )
    overall = " | ".join(f"**{mean(results[name].values()):.1f}**" for name in names)
    return "\n".join([*lines, f"| **overall** | {overall} |"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Grade the chosen models, or all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", choices=list(SIZES), action="append", help="which (default: all)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the model folders are")
    parser.add_argument("--items", type=int, default=ITEMS_PER_KIND, help="items of each kind")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    print(
        table(
            {
                name: grade(chosen.folder / name, chosen.items)
                for name in chosen.model or list(SIZES)
            }
        )
    )


if __name__ == "__main__":
    main()
