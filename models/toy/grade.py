"""Evaluates the toy models: `python models/toy/grade.py` prints exact-match accuracies as Markdown.

The models are loaded with AutoModelForCausalLM and decode greedily.
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

GRADE_SEED = 4_711  # differs from the training seed; the split separates the subjects anyway
ITEMS_PER_KIND = 300  # a percentage from 300 answers has a standard error of at most 2.9 points
BATCH = 100


def graded_items(kind: str, count: int) -> list[Item]:
    """Draw the evaluation items of one kind, the same for every model."""
    rng = Random(f"{GRADE_SEED}:{kind}")
    return [item(kind, rng, "grade") for _ in range(count)]


def _batches(items: Sequence[Item], texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield batches of indices of items with similar lengths."""
    order = sorted(range(len(items)), key=lambda i: (len(items[i].answer), len(texts[i])))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


@torch.inference_mode()
def answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]
) -> list[str]:
    """Decode an answer to each item greedily, at most one token longer than the expected one."""
    # Replaces the model's own generation config, which enables sampling.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    texts = [render(tokenizer, it, with_answer=False) for it in items]
    decoded = [""] * len(items)
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
            decoded[i] = text
    return decoded


def accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]
) -> float:
    """Return the percentage of exact matches."""
    decoded = answers(model, tokenizer, items)
    return 100 * mean(text == it.answer for text, it in zip(decoded, items, strict=True))


def grade(folder: Path, count: int) -> dict[str, float]:
    """Return the accuracy of the model in a folder for every graded kind."""
    tokenizer = load_tokenizer(folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    return {kind: accuracy(model, tokenizer, graded_items(kind, count)) for kind in GRADED}


def table(results: dict[str, dict[str, float]]) -> str:
    """Format accuracies by kind (rows) and model (columns) as a Markdown table."""
    names = list(results)
    lines = [f"| kind | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for kind in GRADED:
        lines.append(
            f"| {kind} | " + " | ".join(f"{results[name][kind]:.1f}" for name in names) + " |"
        )
    overall = " | ".join(f"**{mean(results[name].values()):.1f}**" for name in names)
    return "\n".join([*lines, f"| **overall** | {overall} |"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate the chosen models, or all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model",
        choices=list(SIZES),
        action="append",
        help="model to evaluate, repeatable (default: all)",
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="parent of the model folders")
    parser.add_argument("--items", type=int, default=ITEMS_PER_KIND, help="items per kind")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(
        table(
            {
                name: grade(options.folder / name, options.items)
                for name in options.model or list(SIZES)
            }
        )
    )


if __name__ == "__main__":
    main()
