"""Whether a fast path computes what the plain one does, tried on the device that is to serve."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kv_pool import KVPool, Span
from sizeup_inference.engine.loading.rounding import computed_in_float32, error, is_rounding
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.engine.sampling.torch_sampling import draw, draw_rows

IDS = 50
"""Tokens that a vocabulary must have."""

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Of the norm of the logits: rounding in deep models is 1e-5, 0.03 and 0.01, a fault 1."""

_PROMPTS, _FIRST_PROMPT, _TOKENS = 3, 5, 6
"""Prompts of the probe, tokens of the first one without a page, and what it gets later."""
_PAGES = 2 * _PROMPTS
"""Of a pool of more pages."""

_DRAWS = (
    SamplingParams(temperature=0.7),
    SamplingParams(temperature=1.3, top_k=20, top_p=0.9, min_p=0.02),
    SamplingParams(temperature=1.0, top_p=0.5),
)


class SelfCheck:
    """What the plain path computes for the probe, which other paths are compared with."""

    def __init__(self, model: PreTrainedModel, pool: KVPool, max_model_len: int) -> None:
        """Compute it in the pool."""
        self._pool, self._max_model_len = pool, max_model_len
        self._tolerance = _TOLERANCE[model.dtype]
        self.plain = _probe(TransformersForward(model, pool), max_model_len)
        self._exact: Sequence[Forwarded] = ()

    def difference(self, forward: ForwardPass, whole: PreTrainedModel | None = None) -> str | None:
        """Return how far a path is from the plain one; None where it has the same tokens.

        With the model, no part of which was packed or is on another rank: None where the path
        rounds as the plain one, by the result in float32.
        """
        fast = _probe(forward, self._max_model_len)
        if not all(map(_holds_best, fast)):
            return "wrong result: tokens that are not the best of their logits"
        if whole is not None:
            self._exact = self._exact or self._in_float32(whole)
        plain, exact = _outputs(self.plain), _outputs(self._exact)
        for (step, name), actual in _outputs(fast).items():
            expected = plain[step, name]
            share = error(actual, expected)
            if whole is None:
                is_close = share <= self._tolerance  # not for NaN either
            else:
                is_close = is_rounding(actual, expected, exact[step, name], self._tolerance)
            if not is_close:
                return f"wrong result: the {name} differ by {share:.2g} of their norm"
        # Where the result in float32 decides, tokens are as near as rounding lets them be.
        pairs = zip(self.plain, fast, strict=True)
        if whole is None and any(_differ(p.logits, f.logits, self._tolerance) for p, f in pairs):
            return "wrong result: other tokens"
        return None

    def _in_float32(self, model: PreTrainedModel) -> Sequence[Forwarded]:
        layout, keys = self._pool.layout, self._pool.keys
        layout = replace(layout, pages=min(layout.pages, _PAGES))
        pool = KVPool(layout, torch.float32, [layer.device for layer in keys])
        with computed_in_float32(model):
            return _probe(TransformersForward(model, pool), self._max_model_len)


def _probe(forward: ForwardPass, max_model_len: int) -> Sequence[Forwarded]:
    """Compute prompts, then one token more of each beside five of the first, then one more of each.

    Where the pool and the context allow it, the first prompt is longer than a page. The pages hold
    NaN before, so that a value which is not stored is noticed. Results are on the CPU.
    """
    layout = forward.pool.layout
    long = layout.page_size + _FIRST_PROMPT
    pages_each = 2 if max_model_len > long + _TOKENS and layout.pages >= _PAGES else 1
    prompts = [long if pages_each > 1 else _FIRST_PROMPT, 3, 1]
    if layout.pages < pages_each * _PROMPTS:
        prompts = [1]
    for tensor in (*forward.pool.keys, *forward.pool.values):
        tensor[: len(prompts) * pages_each * layout.page_size] = torch.nan
    steps = (prompts, [5, *[1] * (len(prompts) - 1)], [1] * len(prompts))
    contexts = [0] * len(prompts)
    results = []
    for lengths in steps:
        contexts = [c + n for c, n in zip(contexts, lengths, strict=True)]
        # A pass on an accelerator has no graphs of steps whose hidden states are wanted.
        batch = _batch(lengths, contexts, pages_each, wants_hidden=not forward.is_asynchronous)
        result = forward.run(batch)
        hidden = None if result.hidden is None else result.hidden.float().cpu().clone()
        results.append(Forwarded(result.best, result.logits.float().cpu().clone(), hidden))
    return results


def _outputs(results: Sequence[Forwarded]) -> Mapping[tuple[int, str], torch.Tensor]:
    """Return the results by step and name."""
    steps = tuple(enumerate(results))
    hidden = {(i, "hidden states"): r.hidden for i, r in steps if r.hidden is not None}
    return {(i, "logits"): r.logits for i, r in steps} | hidden


def _holds_best(result: Forwarded) -> bool:
    """Whether each token is the best of its row, which may hold NaN."""
    tokens = torch.tensor(result.best).clamp(min=0)[:, None]
    chosen = result.logits.gather(-1, tokens)[:, 0]
    return not bool((chosen < result.logits.amax(-1)).any())


def _batch(
    lengths: Sequence[int], contexts: Sequence[int], pages_each: int, *, wants_hidden: bool
) -> Batch:
    ends = list(accumulate(lengths))
    tables = [range(i * pages_each, (i + 1) * pages_each) for i in range(len(lengths))]
    spans = tuple(
        Span(end - length, length, context, tuple(tables[i]))
        for i, (end, length, context) in enumerate(zip(ends, lengths, contexts, strict=True))
    )
    ids = [row % IDS for row in range(ends[-1])]
    samples = [end - 1 for end in ends]
    return Batch(ids, spans, samples, [True] * len(samples), wants_hidden=wants_hidden)


def _differ(expected: torch.Tensor, actual: torch.Tensor, tolerance: float) -> bool:
    """Two tokens are the same where the expected logits differ by less than rounding."""
    lost = expected.amax(-1) - expected.gather(-1, actual.argmax(-1, keepdim=True))[:, 0]
    return bool((lost > tolerance * expected.abs().amax(-1)).any())


def draws_differ(logits: torch.Tensor) -> str | None:
    """Return how draws from rows of logits on their device differ from those of single rows.

    The logits are in the dtype of the model.
    """
    rows, table, expected = [], [], []
    for row in logits:
        for number, params in enumerate(_DRAWS):
            uniform = (number + 0.5) / len(_DRAWS)
            rows.append(row)
            table.append((params.temperature, params.top_k, params.top_p, params.min_p, uniform))
            expected.append(draw(row.float().cpu(), params, uniform))
    packed = torch.tensor(table, dtype=torch.float64, device=logits.device)
    tokens = draw_rows(torch.stack(rows), packed, filters=True)
    return None if tokens.tolist() == expected else "wrong result: other tokens"
