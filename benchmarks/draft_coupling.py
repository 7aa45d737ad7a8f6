"""How often a draft token is accepted, by the rule that decides it.

    python benchmarks/draft_coupling.py

For the distributions p of toy-5m and q of toy-0.5m after every token of toy-5m's sampled answers to
the toy tasks: the probability that the draft token is accepted

- by speculative sampling (Leviathan et al. 2023): the sum of min(p, q), the most that any rule
  reaches with a draft token drawn from q;
- where both models sample with the same random number by inverse CDF, as sizeup does;
- where the draft model proposes its most likely token.

The output has the distribution p by each of them. By the last two it is also that of the seed.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

TOYS = Path(__file__).parents[1] / "models" / "toy"
_PROMPTS, _TOKENS = 160, 40
_KINDS = ("add-4", "copy", "reverse", "fact", "recall", "sequence", "tool-two", "tool-result")


def prompts() -> tuple[list[list[int]], int]:
    """Return prompts of the toy tasks, and the token that ends an answer."""
    sys.path.append(str(TOYS))
    from mixture import item
    from tokenizer import load_tokenizer, render

    tokenizer = load_tokenizer(TOYS / "toy-5m")
    rng = random.Random(1)
    items = [item(_KINDS[i % len(_KINDS)], rng, "grade") for i in range(_PROMPTS)]
    texts = [render(tokenizer, each, with_answer=False) for each in items]
    return [tokenizer(text)["input_ids"] for text in texts], tokenizer.eos_token_id


def filtered(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> torch.Tensor:
    """Return float64[rows, vocabulary]."""
    weights = (logits.double() / temperature).softmax(-1)
    if top_k:
        least = weights.topk(top_k).values[:, -1:]
        weights = weights.where(weights >= least, 0.0)
        weights /= weights.sum(-1, keepdim=True)
    ordered, ids = weights.sort(descending=True)
    ordered = ordered.where(ordered.cumsum(-1) - ordered < top_p, 0.0)
    kept = torch.zeros_like(weights).scatter(-1, ids, ordered)
    return kept / kept.sum(-1, keepdim=True)


def accepted(p: torch.Tensor, q: torch.Tensor) -> tuple[float, float, float]:
    """Return the mean probability of acceptance by each rule."""
    most = torch.minimum(p, q).sum(-1)
    ends = torch.minimum(p.cumsum(-1), q.cumsum(-1))
    starts = torch.maximum(p.cumsum(-1) - p, q.cumsum(-1) - q)
    same_number = (ends - starts).clamp(min=0).sum(-1)
    likeliest = p.gather(-1, q.argmax(-1, keepdim=True))
    return float(most.mean()), float(same_number.mean()), float(likeliest.mean())


@torch.inference_mode()
def logits_of(
    models: tuple[PreTrainedModel, PreTrainedModel], prompt: list[int], end: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Sample an answer of the first model; yield the logits of both for its tokens."""
    output = models[0].generate(  # type: ignore[operator]
        torch.tensor([prompt]),
        do_sample=True,
        max_new_tokens=_TOKENS,
        eos_token_id=end,
        pad_token_id=end,
    )
    rows = slice(len(prompt) - 1, -1)
    yield models[0](output).logits[0, rows], models[1](output).logits[0, rows]


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)  # models this small are faster with one
    torch.manual_seed(0)
    load = AutoModelForCausalLM.from_pretrained
    models = load(TOYS / "toy-5m"), load(TOYS / "toy-0.5m")
    asked, end = prompts()
    pairs = [pair for prompt in asked for pair in logits_of(models, prompt, end)]
    p, q = (torch.cat(rows) for rows in zip(*pairs, strict=True))
    print(f"{len(p)} tokens            speculative sampling  same number  most likely token")
    for name, how in (
        ("temperature 1", (1.0, 0, 1.0)),
        ("0.7, top_k 20, top_p 0.8", (0.7, 20, 0.8)),
    ):
        shares = accepted(filtered(p, *how), filtered(q, *how))
        print(f"{name:26s}" + "".join(f"{share:15.3f}" for share in shares))


if __name__ == "__main__":
    main()
