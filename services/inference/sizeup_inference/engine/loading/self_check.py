"""Whether a fast path computes what the plain one does, tried on the device that is to serve."""

from collections.abc import Sequence
from itertools import accumulate

import torch

from sizeup_inference.engine.forward import Batch, Draw, ForwardPass
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.loading.rounding import error, is_rounding
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.engine.sampling.torch_sampling import draw, draw_rows, parameters

_IDS = 50
"""Tokens that every vocabulary has."""

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Of the norm of the logits: rounding in deep models is 1e-5, 0.03 and 0.01, a fault 1."""

_PROMPTS, _FIRST_PROMPT, _TOKENS = 3, 5, 6
"""Prompts of the probe, tokens of the first one without a page, and what it gets later."""
PROBED_PAGES = 2 * _PROMPTS
"""Of a pool of more pages."""

_DRAWS = (
    SamplingParams(temperature=0.7),
    SamplingParams(temperature=1.3, top_k=20, top_p=0.9, min_p=0.02),
    SamplingParams(temperature=1.0, top_p=0.5),
)


Logits = Sequence[torch.Tensor]
"""By step of the probe, float32[samples, vocab_size] on the CPU."""


def probe(forward: ForwardPass, max_model_len: int) -> Logits:
    """Compute prompts, then one token more of each beside five of the first, then one more of each.

    Where the pool and the context allow it, the first prompt is longer than a page. The pages hold
    NaN before, so that a value which is not stored is noticed.
    """
    layout = forward.pool.layout
    long = layout.page_size + _FIRST_PROMPT
    pages_each = 2 if max_model_len > long + _TOKENS and layout.pages >= PROBED_PAGES else 1
    prompts = [long if pages_each > 1 else _FIRST_PROMPT, 3, 1]
    if layout.pages < pages_each * _PROMPTS:
        prompts = [1]
    for tensor in (*forward.pool.keys, *forward.pool.values):
        tensor[: len(prompts) * pages_each * layout.page_size] = torch.nan
    steps = (prompts, [5, *[1] * (len(prompts) - 1)], [1] * len(prompts))
    contexts = [0] * len(prompts)
    logits = []
    for lengths in steps:
        contexts = [c + n for c, n in zip(contexts, lengths, strict=True)]
        result = forward.run(_batch(lengths, contexts, pages_each))
        logits.append(result.logits.float().cpu())
        _check_tokens(result.best, logits[-1])
    return logits


def _check_tokens(tokens: Sequence[int], logits: torch.Tensor) -> None:
    """Raise RuntimeError for a token that is not the best of its row, which may hold NaN."""
    chosen = logits.gather(-1, torch.tensor(tokens).clamp(min=0)[:, None])[:, 0]
    if bool((chosen < logits.amax(-1)).any()):
        raise RuntimeError("tokens that are not the best of their logits")


def _batch(lengths: Sequence[int], contexts: Sequence[int], pages_each: int) -> Batch:
    ends = list(accumulate(lengths))
    tables = [range(i * pages_each, (i + 1) * pages_each) for i in range(len(lengths))]
    spans = tuple(
        Span(end - length, length, context, tuple(tables[i]))
        for i, (end, length, context) in enumerate(zip(ends, lengths, contexts, strict=True))
    )
    ids = [row % _IDS for row in range(ends[-1])]
    samples = [end - 1 for end in ends]
    return Batch(ids, spans, samples, [True] * len(samples), wants_hidden=False)


def difference(plain: Logits, fast: Logits, dtype: torch.dtype) -> str | None:
    """Return how far a path is from the plain one; None where it has the same tokens.

    Two tokens are the same where the plain path's logits differ by less than rounding.
    """
    tolerance = _TOLERANCE[dtype]
    for expected, actual in zip(plain, fast, strict=True):
        if not error(actual, expected) <= tolerance:  # not for NaN either
            return _of_norm(actual, expected)
        lost = expected.amax(-1) - expected.gather(-1, actual.argmax(-1, keepdim=True))[:, 0]
        if bool((lost > tolerance * expected.abs().amax(-1)).any()):
            return "wrong result: other tokens"
    return None


def difference_from_exact(
    plain: Logits, fast: Logits, exact: Logits, dtype: torch.dtype
) -> str | None:
    """Return how far a path is from the result in float32; None where it rounds as the plain one.

    There the tokens of both are as near to each other as rounding lets them be.
    """
    for expected, actual, truth in zip(plain, fast, exact, strict=True):
        if not is_rounding(actual, expected, truth, _TOLERANCE[dtype]):
            return _of_norm(actual, expected)
    return None


def _of_norm(actual: torch.Tensor, expected: torch.Tensor) -> str:
    return f"wrong result: the logits differ by {error(actual, expected):.2g} of their norm"


def draws_differ(logits: torch.Tensor) -> str | None:
    """Return how draws from rows of logits on their device differ from those of single rows.

    The logits are in the dtype of the model.
    """
    rows, table, expected = [], [], []
    for row in logits:
        for number, params in enumerate(_DRAWS):
            uniform = (number + 0.5) / len(_DRAWS)
            rows.append(row)
            made = Draw(params.temperature, params.top_k, params.top_p, params.min_p, uniform)
            table.append(parameters(made))
            expected.append(draw(row.float().cpu(), params, uniform))
    packed = torch.tensor(table, dtype=torch.float64, device=logits.device)
    tokens = draw_rows(torch.stack(rows), packed, filters=True)
    return None if tokens.tolist() == expected else "wrong result: other tokens"
