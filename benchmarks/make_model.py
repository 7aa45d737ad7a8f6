"""Create a model folder of a real shape with random weights and Qwen's real vocabulary.

    python benchmarks/make_model.py /tmp/qwen1.5-0.5b-random
    sizeup up --models /tmp/qwen1.5-0.5b-random

Its output is noise; its speed, memory and tokens are those of the real model. The vocabulary comes
from the package dashscope, the chat template from the toy models, which use Qwen's.
"""

import argparse
from pathlib import Path

from transformers import GenerationConfig

from qwen_tokenizer import qwen_tokenizer
from random_model import random_model
from shapes import SHAPES

TEMPLATE = Path(__file__).parents[1] / "models" / "toy" / "chat_template.jinja"


def make(folder: Path, shape: str, dtype: str) -> None:
    """Write config, weights, tokenizer and generation config."""
    model = random_model(shape, dtype)
    tokenizer = qwen_tokenizer(TEMPLATE.read_text())
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Parse the command line and create the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    args = parser.parse_args()
    make(args.folder, args.shape, args.dtype)
    print(f"{args.folder}: {args.shape}, {args.dtype}, random weights, Qwen's vocabulary")


if __name__ == "__main__":
    main()
