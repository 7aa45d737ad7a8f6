"""A step's inputs as one int32 array, so that one copy brings them to a device."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch

from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.kv_pool import KVPool, Span


@dataclass(frozen=True)
class InputShape:
    """How many of each a step has."""

    tokens: int
    sequences: int
    samples: int
    table_width: int
    """Pages of a row of the block table."""
    max_q: int
    """Tokens of a sequence, at most."""

    @cached_property
    def ends(self) -> Sequence[int]:
        """Ends of ids, positions, slots, samples, seqused_k, cu_seq_q, block_table in the array."""
        sizes = (*[self.tokens] * 3, self.samples, self.sequences, self.sequences + 1)
        return tuple(accumulate((*sizes, self.sequences * self.table_width)))


def exact_shape(batch: Batch) -> InputShape:
    """Return the shape of a batch without padding."""
    return InputShape(
        tokens=len(batch.ids),
        sequences=len(batch.spans),
        samples=len(batch.samples),
        table_width=max(len(span.block_table) for span in batch.spans),
        max_q=max(span.length for span in batch.spans),
    )


def pack(batch: Batch, shape: InputShape, pool: KVPool) -> "array[int]":
    """Return the inputs of a batch in the order of `shape.ends`.

    Where the shape is larger than the batch, the rest is sequences of one token in the page after
    those of the pool's layout.
    """
    padding_page, size = pool.layout.pages, pool.layout.page_size
    padding = shape.sequences - len(batch.spans)
    spans = (*batch.spans, *[Span(0, 1, 1, (padding_page,))] * padding)
    rows = len(batch.ids)
    inputs = array("i", batch.ids)
    inputs.extend([0] * padding)
    for span in spans:
        inputs.extend(range(span.kv_length - span.length, span.kv_length))
    inputs.extend(pool.slots(batch.spans))
    inputs.extend([padding_page * size] * padding)
    inputs.extend(batch.samples)
    inputs.extend(range(rows, rows + padding))
    inputs.extend(span.kv_length for span in spans)
    inputs.extend(accumulate((span.length for span in spans), initial=0))
    blank = array("i", [padding_page]) * shape.table_width
    for span in spans:
        inputs.extend(span.block_table)
        inputs.extend(blank[len(span.block_table) :])
    return inputs


class StepInputs:
    """A packed array on a device, as views by name."""

    def __init__(self, shape: InputShape, packed: torch.Tensor) -> None:
        """`packed` is int32[shape.ends[-1]]."""
        self.shape, self.packed = shape, packed
        starts = (0, *shape.ends)
        fields = [packed[a:b] for a, b in zip(starts, shape.ends, strict=False)]
        self.ids, self.positions, self.slots, self.samples = fields[:4]
        """int32[tokens], int32[tokens], int32[tokens], int32[samples]"""
        self.seqused_k, self.cu_seq_q = fields[4:6]
        self.block_table = fields[6].view(shape.sequences, shape.table_width)
