"""The inputs of a step as one array, with and without padding."""

import torch

from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.forwards.step_inputs import (
    InputShape,
    StepInputs,
    exact_shape,
    pack,
)
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout, Span

PAGES, PAGE_SIZE = 10, 4
POOL = KVPool(PoolLayout(PAGES, PAGE_SIZE, 1, 1), torch.float32, [], padding_pages=1)


def inputs_of(batch: Batch, shape: InputShape) -> StepInputs:
    packed = torch.tensor(pack(batch, shape, POOL), dtype=torch.int32)
    assert len(packed) == shape.ends[-1]
    return StepInputs(shape, packed)


def make_batch(ids: list[int], spans: tuple[Span, ...], samples: list[int]) -> Batch:
    return Batch(ids, spans, samples, [False] * len(samples), wants_hidden=False)


def test_a_mixed_batch_is_packed_without_padding() -> None:
    spans = (Span(0, 1, 6, (9, 2)), Span(1, 3, 3, (5,)))
    batch = make_batch([7, 1, 2, 3], spans, [0, 3])
    shape = exact_shape(batch)
    inputs = inputs_of(batch, shape)
    assert (shape.max_q, shape.table_width) == (3, 2)
    assert inputs.ids.tolist() == [7, 1, 2, 3]
    assert inputs.positions.tolist() == [5, 0, 1, 2]
    assert inputs.slots.tolist() == [9, 20, 21, 22]
    assert inputs.samples.tolist() == [0, 3]
    assert inputs.seqused_k.tolist() == [6, 3]
    assert inputs.cu_seq_q.tolist() == [0, 1, 4]
    assert inputs.block_table.tolist() == [[9, 2], [5, PAGES]]


def test_decodes_are_padded_with_sequences_in_the_padding_page() -> None:
    spans = (Span(0, 1, 6, (9, 2)), Span(1, 1, 1, (5,)))
    shape = InputShape(4, 4, 4, table_width=3, max_q=1)
    inputs = inputs_of(make_batch([7, 8], spans, [0, 1]), shape)
    assert inputs.ids.tolist() == [7, 8, 0, 0]
    assert inputs.positions.tolist() == [5, 0, 0, 0]
    assert inputs.slots.tolist() == [9, 20, PAGES * PAGE_SIZE, PAGES * PAGE_SIZE]
    assert inputs.samples.tolist() == [0, 1, 2, 3]
    assert inputs.seqused_k.tolist() == [6, 1, 1, 1]
    assert inputs.cu_seq_q.tolist() == [0, 1, 2, 3, 4]
    assert inputs.block_table[:2].tolist() == [[9, 2, PAGES], [5, PAGES, PAGES]]
    assert set(inputs.block_table[2:].flatten().tolist()) == {PAGES}
