"""How many prompt tokens a step may hold beside decoding sequences. Pure: durations are arguments.

A prefill delays the next token of every decoding sequence by the whole step. Sarathi-Serve bounds
the step by a fixed number of tokens; how long these take depends on the model, the processor, its
other load and the position in the prompt, so the bound here is learned from finished steps:

    seconds = decode(batch) + per_token * tokens + per_pair * pairs

`pairs` counts the keys that each prompt token attends to.
"""

from dataclasses import dataclass, field
from math import sqrt

from sizeup_inference.engine.scheduling.least_squares import LeastSquares

MAX_SLOWDOWN = 2.5
"""Duration of a step with prefill over one without: leaves room for noise below a factor of 3, and
three fifths of the step to the prefill."""

_MIXED_STEPS = 32
"""After so many steps with prefill, one without is measured: it costs the prefill about 1 %."""

_MINIMUM = 4
"""Tokens. On a processor without matrix instructions a page of 16 takes several decode steps."""

_EXTRAPOLATION = 2
"""The fit holds near the tokens it was made from: a few rows cost less than their share."""

_OUTLIER = 3.0
"""Measured over predicted seconds, above which a step was interrupted by something else."""

_WEIGHT = 0.2
"""Of a new decode duration. Equal for shorter and longer ones: towards the shortest, a noisy
machine would get half of its prefill throughput."""

_LONGEST = 1.5
"""Times the average, as which a longer decode step counts: it was interrupted by something else."""


@dataclass(slots=True)
class PrefillBudget:
    """The model of a step's duration."""

    maximum: int
    """Tokens of a step."""
    _decode_seconds: dict[int, float] = field(default_factory=dict)
    """Moving average by the bit length of the batch size."""
    _prefill: LeastSquares = field(default_factory=LeastSquares)
    _largest: int = 0
    """Prefill tokens of a step, so far."""
    _mixed_steps: int = 0
    """Steps with prefill since the last one without."""

    def tokens(self, decodes: int, position: float) -> int:
        """Return the prefill tokens of a step with this many decoding sequences.

        `position` is the mean position of the prefills. Returns 0 where a step without prefill has
        to be measured first, and everything where nothing decodes or no duration is known.
        """
        alone = self._decode(decodes)
        if not decodes or (alone is None and not self._prefill.count):
            return self.maximum - decodes
        if alone is None or self._mixed_steps >= _MIXED_STEPS:
            return 0
        extra = (MAX_SLOWDOWN - 1) * alone
        per_token, per_pair = self._prefill.coefficients
        # Solves per_token * n + per_pair * n * (position + n / 2) = extra.
        linear = per_token + per_pair * position
        denominator = linear + sqrt(linear**2 + 2 * per_pair * extra)
        known = _EXTRAPOLATION * max(self._largest, _MINIMUM)
        fitting = 2 * extra / denominator if denominator else known
        return min(max(_MINIMUM, int(min(fitting, known))), self.maximum - decodes)

    def observe(self, decodes: int, prefill_tokens: int, pairs: float, seconds: float) -> None:
        """Learn from a step that succeeded; `decodes` are its sequences with one token."""
        if not prefill_tokens:
            self._mixed_steps = 0
            self._observe_decode(decodes, seconds)
            return
        self._mixed_steps += 1
        self._largest = max(self._largest, prefill_tokens)
        alone = self._decode(decodes) or 0.0
        features = (float(prefill_tokens), pairs)
        predicted = alone + self._prefill.predict(features)
        if self._prefill.count:
            seconds = min(seconds, _OUTLIER * predicted)
        self._prefill.add(features, max(0.0, seconds - alone))

    def _observe_decode(self, decodes: int, seconds: float) -> None:
        bucket = decodes.bit_length()
        average = self._decode_seconds.setdefault(bucket, seconds)
        self._decode_seconds[bucket] += _WEIGHT * (min(seconds, _LONGEST * average) - average)

    def _decode(self, decodes: int) -> float | None:
        """Return the duration of a decode step of about this size; None before the first one."""
        if not self._decode_seconds:
            return None
        bucket = decodes.bit_length()
        return self._decode_seconds[
            min(self._decode_seconds, key=lambda known: abs(known - bucket))
        ]
