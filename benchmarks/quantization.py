"""What weights of 8 and 4 bits cost in quality, beside the same weights unquantized.

    python benchmarks/quantization.py
    python benchmarks/quantization.py --model FOLDER --text docs/*.md

Without a model: the toy ladder, on the assistant's tokens of the toys' own graded tasks. Every text
is teacher-forced through the forward pass that an inference process on this CPU would use; the
columns are the memory of the weights, the share of positions whose most likely token stays the
same, and the perplexity of the next token with its change.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import AutoTokenizer

from sizeup_inference.engine.forward import Batch, ForwardPass
from sizeup_inference.engine.kernels.decoder import CompiledDecoder
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.loading.make_forward import ForwardOptions, make_forward
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
from sizeup_inference.engine.quantization.formats import Format

_ROOT = Path(__file__).parents[1]
_TOYS = _ROOT / "models" / "toy"
_ITEMS = 40
"""Conversations of each kind of task: some 7,000 tokens of the assistant in all."""
_SEED = 4_711
_WINDOW = 512
"""Tokens of a piece of a text, each with a context of its own."""
_HEAD = ("model", "weights", "MiB", "same top-1", "perplexity", "change")
_ROW = "{:<24} {:>8} {:>9} {:>11} {:>11} {:>9}"


@dataclass(frozen=True, slots=True)
class Text:
    """Tokens, and the positions whose next token counts."""

    ids: Sequence[int]
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Of every position that counts: the most likely token, and the loss of the next one."""

    best: torch.Tensor
    losses: torch.Tensor
    memory_bytes: int

    @property
    def perplexity(self) -> float:
        """The exponential of the mean loss."""
        return float(self.losses.mean().exp())


def predict(folder: Path, form: Format | None, dtype: str, texts: Sequence[Text]) -> Predictions:
    """Load a model, quantized or not, and run the texts through it."""
    longest = max(len(text.ids) for text in texts)
    options = ForwardOptions(
        PoolOptions(1, 2 * longest), None, torch.get_num_threads(), quantization=form
    )
    loaded = make_forward(lambda: load_model(LoadOptions(folder, "cpu", dtype)), options)
    parts = [_predict_text(loaded.forward, text) for text in texts]
    if isinstance(loaded.forward, CompiledDecoder):
        loaded.forward.close()
    best, losses = (torch.cat(found) for found in zip(*parts, strict=True))
    return Predictions(best, losses, loaded.memory_bytes)


@torch.inference_mode()
def _predict_text(forward: ForwardPass, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
    length, positions = len(text.ids), list(text.positions)
    pages = -(-length // forward.pool.layout.page_size)
    span = Span(0, length, length, tuple(range(pages)))
    batch = Batch(text.ids, (span,), positions, [True] * len(positions), wants_hidden=False)
    logits = forward.run(batch).logits
    following = torch.tensor([text.ids[p + 1] for p in positions])
    losses = torch.nn.functional.cross_entropy(logits, following, reduction="none")
    return logits.argmax(-1), losses


def toy_texts(folder: Path) -> list[Text]:
    """Return conversations of the toys' graded tasks, which training has not seen."""
    sys.path.insert(0, str(_TOYS))
    from batches import assistant_tokens  # type: ignore[import-not-found,unused-ignore]
    from mixture import GRADED, item  # type: ignore[import-not-found,unused-ignore]
    from tokenizer import render  # type: ignore[import-not-found,unused-ignore]

    tokenizer = AutoTokenizer.from_pretrained(folder)
    header = tokenizer("<|im_start|>assistant\n")["input_ids"]
    texts = []
    for kind in GRADED:
        rng = Random(f"{_SEED}:{kind}")
        for _ in range(_ITEMS):
            text = render(tokenizer, item(kind, rng, "grade"), with_answer=True)
            ids = tokenizer(text)["input_ids"]
            marks = assistant_tokens(ids, header, tokenizer.eos_token_id)
            texts.append(Text(ids, [i - 1 for i, is_answer in enumerate(marks) if is_answer]))
    return texts


def file_texts(folder: Path, files: Sequence[Path]) -> Iterator[Text]:
    """Yield windows of text files."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for file in files:
        ids = tokenizer(file.read_text())["input_ids"]
        for start in range(0, len(ids), _WINDOW):
            if len(window := ids[start : start + _WINDOW]) > 1:
                yield Text(window, range(len(window) - 1))


def compare(folder: Path, dtype: str, texts: Sequence[Text]) -> None:
    """Print a row for each format."""
    reference = predict(folder, None, dtype, texts)
    print(_row(folder.name, "as stored", reference, reference), flush=True)
    for form in Format:
        print(_row("", form, predict(folder, form, dtype, texts), reference), flush=True)


def _row(model: str, weights: str, found: Predictions, reference: Predictions) -> str:
    same = (found.best == reference.best).float().mean()
    change = found.perplexity / reference.perplexity - 1
    memory = f"{found.memory_bytes / 2**20:.1f}"
    return _ROW.format(
        model, weights, memory, f"{same:.2%}", f"{found.perplexity:.4f}", f"{change:+.2%}"
    )


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="default: the toy ladder")
    parser.add_argument("--dtype", default="auto", help="of the activations; default: the model's")
    parser.add_argument(
        "--text", type=Path, nargs="+", metavar="FILE", default=sorted(_ROOT.glob("docs/*.md"))
    )
    return parser.parse_args()


def main() -> None:
    """Measure one model or the toys."""
    args = parse()
    print(_ROW.format(*_HEAD))
    if args.model is not None:
        compare(args.model, args.dtype, list(file_texts(args.model, args.text)))
        return
    for folder in sorted(_TOYS.glob("toy-*"), key=lambda toy: _bytes(toy)):
        compare(folder, args.dtype, toy_texts(folder))


def _bytes(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size


if __name__ == "__main__":
    main()
