"""The paged forward pass computes what the plain one does: eagerly, in graphs, ahead of tokens."""

from array import array

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.random_configs import VOCABULARY
from inference.small_model import small_pooled_model
from sizeup_inference.engine.forward import Batch, Draw, Forwarded
from sizeup_inference.engine.forwards.paged_forward import PagedForward, buckets
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout, Span

torch.set_num_threads(1)

PAGES, PAGE_SIZE, WIDTH, LARGEST = 24, 4, 3, 6


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


def make_pool() -> KVPool:
    layout = PoolLayout(PAGES, PAGE_SIZE, kv_heads=2, head_dim=8)
    return KVPool(layout, torch.float32, [torch.device("cpu")] * 2, padding_pages=1)


class Paths:
    """The plain pass and the paged one with graphs, over pools of equal content."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.device = ReferenceDevice(PAGE_SIZE)
        self.plain = TransformersForward(model, make_pool())
        self.paged = PagedForward(model, make_pool(), self.device)
        self.paged.capture(LARGEST, WIDTH)

    def check(self, batch: Batch) -> Forwarded:
        """Run a batch in both and return the plain result."""
        expected, actual = self.plain.run(batch), self.paged.run(batch)
        assert actual.best == expected.best
        torch.testing.assert_close(actual.logits, expected.logits, atol=1e-4, rtol=1e-4)
        assert (actual.hidden is None) == (expected.hidden is None)
        return expected


def prefill(count: int, length: int = 5, *, pages: int = 2) -> Batch:
    spans = tuple(
        Span(i * length, length, length, tuple(range(3 * i, 3 * i + pages))) for i in range(count)
    )
    ids = [(7 * i) % VOCABULARY for i in range(count * length)]
    samples = [(i + 1) * length - 1 for i in range(count)]
    return Batch(ids, spans, samples, [False] * count, wants_hidden=False)


def decode(count: int, context: int = 6, *, wants: bool = False, pages: int = 2) -> Batch:
    spans = tuple(Span(i, 1, context, tuple(range(3 * i, 3 * i + pages))) for i in range(count))
    ids = [(11 * i + 1) % VOCABULARY for i in range(count)]
    return Batch(ids, spans, list(range(count)), [wants] * count, wants_hidden=False)


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 2, 4, 5]),
        (8, [1, 2, 4, 8]),
        (40, [1, 2, 4, 8, 12, 16, 24, 32, 40]),
        (256, [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]),
    ],
)
def test_buckets_end_with_the_limit(sequences: int, expected: list[int]) -> None:
    assert buckets(sequences) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 5, LARGEST])
@pytest.mark.parametrize("wants", [False, True])
def test_decodes_are_replayed_in_the_next_larger_graph(
    model: PreTrainedModel, count: int, wants: bool
) -> None:
    paths = Paths(model)
    paths.check(prefill(count))
    assert (paths.device.captured, paths.device.replayed) == (len(buckets(LARGEST)), 0)
    for context in (6, 7):
        paths.check(decode(count, context, wants=wants))
    assert paths.device.replayed == 2


def test_other_steps_are_computed_without_a_graph(model: PreTrainedModel) -> None:
    paths = Paths(model)
    paths.check(prefill(LARGEST + 1))
    paths.check(decode(LARGEST + 1))
    mixed = Batch([1, 2, 3], (Span(0, 1, 6, (0, 1)), Span(1, 2, 2, (20,))), [0], [False], False)
    paths.check(mixed)
    hidden = Batch([1], (Span(0, 1, 7, (0, 1)),), [0], [False], wants_hidden=True)
    assert paths.check(hidden).hidden is not None
    paths.check(prefill(1, length=12, pages=WIDTH + 1))
    paths.check(decode(1, context=13, pages=WIDTH + 1))
    assert paths.device.replayed == 0


def test_masked_samples_are_the_best_of_their_tokens(model: PreTrainedModel) -> None:
    paths = Paths(model)
    paths.check(prefill(3))
    free = paths.check(decode(3, wants=True)).best
    words = [0, 0, 0, 0]
    for token in (3, 50, 96):
        words[token // 32] |= 1 << token % 32
    mask = array("I", words)
    batch = decode(3)
    masked = Batch(
        batch.ids, batch.spans, batch.samples, batch.wants_logits, False, masks={1: mask}
    )
    found = paths.check(masked).best
    assert found[1] in (3, 50, 96)
    assert [found[0], found[2]] == [free[0], free[2]]


def test_draws_are_made_from_the_logits(model: PreTrainedModel) -> None:
    paths = Paths(model)
    paths.check(prefill(3))
    plain = paths.check(decode(3, wants=True))
    batch = decode(3)
    draws = {0: Draw(1.0, 2, 1.0, 0.0, 0.999), 2: Draw(1.0, 2, 1.0, 0.0, 0.0)}
    drawn = paths.paged.run(
        Batch(batch.ids, batch.spans, batch.samples, batch.wants_logits, False, draws=draws)
    )
    top = [sorted(row.topk(2).indices.tolist()) for row in plain.logits]
    assert list(drawn.best) == [top[0][1], plain.best[1], top[2][0]]


def test_a_step_follows_tokens_that_the_host_has_not_seen(model: PreTrainedModel) -> None:
    paths = Paths(model)
    first = paths.check(prefill(3))
    launched = paths.paged.launch(prefill(3))
    spans = tuple(Span(i, 1, 6, (3 * s, 3 * s + 1)) for i, s in enumerate((2, 0)))
    ahead = Batch([0, 0], spans, [0, 1], [False, False], False, ids_from=[2, 0])
    known = Batch([first.best[2], first.best[0]], spans, [0, 1], [False, False], False)
    following = paths.paged.launch(ahead, launched)
    assert launched.result().best == first.best
    assert following.result().best == paths.plain.run(known).best


def test_a_row_of_nan_has_no_token(model: PreTrainedModel) -> None:
    paths = Paths(model)
    paths.check(prefill(2))
    for tensor in paths.paged.pool.keys:
        tensor[:PAGE_SIZE] = torch.nan
    batch = decode(2)
    draws = {0: Draw(1.0, 0, 1.0, 0.0, 0.5)}
    broken = Batch(batch.ids, batch.spans, batch.samples, batch.wants_logits, False, draws=draws)
    assert paths.paged.run(broken).best[0] == -1
    assert paths.paged.run(batch).best[1] == paths.plain.run(batch).best[1]
