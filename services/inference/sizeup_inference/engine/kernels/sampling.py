"""The compiled sampling, if it was built. Takes addresses of float32 rows, so it needs no torch."""

import ctypes
from array import array
from dataclasses import dataclass
from pathlib import Path

from sizeup_inference.engine.kernels.library import LIBRARY, load_library
from sizeup_inference.engine.protocol import MIN_LOGPROB, Logprobs, SamplingParams

_INVALID_ROW, _OUT_OF_MEMORY = -1, -2
"""Results of the functions of sampling.c."""


@dataclass(frozen=True, slots=True)
class SamplingKernels:
    """The functions of sampling.c. `address` is that of `size` contiguous float32 logits."""

    library: ctypes.CDLL
    instructions: int
    """Index of one of the processor's instruction sets; the last is the fastest."""

    def penalize_repetition(
        self, address: int, size: int, ids: "array[int]", penalty: float
    ) -> None:
        """Divide positive and multiply negative logits of distinct int32 ids, in place."""
        ids_address, count = ids.buffer_info()
        self.library.sizeup_penalize_repetition(address, size, ids_address, count, penalty)

    def mask(self, address: int, size: int, words: "array[int]") -> None:
        """Set the logits without a bit in the mask to -inf; see ConstraintState.mask."""
        if len(words) * 32 < size:
            raise ValueError("a mask is shorter than the vocabulary")
        self.library.sizeup_mask(self.instructions, address, size, words.buffer_info()[0])

    def sample(self, address: int, size: int, params: SamplingParams, uniform: float) -> int | None:
        """Return the argmax at temperature 0, else the token at `uniform` of the filtered CDF.

        None for a row that holds NaN or Inf, or in which every token is masked.
        """
        token_id: int = self.library.sizeup_sample(
            self.instructions,
            address,
            size,
            params.temperature,
            min(params.top_k, size),
            params.top_p,
            params.min_p,
            uniform,
        )
        return None if _is_invalid(token_id) else token_id

    def logprobs(self, address: int, size: int, token_id: int, count: int) -> Logprobs | None:
        """Return the log-probability of a token, and of the `count` most likely ones.

        None for a row that `sample` rejects.
        """
        count = min(count, size)
        chosen = ctypes.c_double()
        ids, values = (ctypes.c_int32 * count)(), (ctypes.c_double * count)()
        result = self.library.sizeup_logprobs(
            self.instructions, address, size, token_id, count, ctypes.byref(chosen), ids, values
        )
        if _is_invalid(result):
            return None
        top = ((i, max(value, MIN_LOGPROB)) for i, value in zip(ids, values, strict=True))
        return Logprobs(max(chosen.value, MIN_LOGPROB), tuple(top))


def _is_invalid(result: int) -> bool:
    if result == _OUT_OF_MEMORY:
        raise MemoryError("cannot allocate the candidates of a row of logits")
    return result == _INVALID_ROW


def load_sampling(library: Path = LIBRARY) -> SamplingKernels | None:
    """Return the compiled functions, or None where they were not built or cannot be loaded."""
    if (loaded := load_library(library)) is None:
        return None
    return SamplingKernels(loaded, loaded.sizeup_instruction_sets() - 1)
