"""The forward pass of one accelerator: attention in one call a layer, decode steps in graphs."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import Batch, Draw, Forwarded
from sizeup_inference.engine.forwards.cuda import CudaDevice
from sizeup_inference.engine.forwards.step_inputs import InputShape, StepInputs, exact_shape, pack
from sizeup_inference.engine.forwards.transformers_forward import ModuleForward
from sizeup_inference.engine.forwards.varlen_attention import VarlenKV
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.sampling.masks import exclude
from sizeup_inference.engine.sampling.torch_sampling import argmax_rows, draw_rows

_FEW = 8
"""Up to this many sequences a graph's rows at most double the batch's; above, add a half."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Tensors of one step on the device."""

    hidden: torch.Tensor
    """[tokens, hidden_size]"""
    logits: torch.Tensor
    """[samples, vocab_size]"""
    best: torch.Tensor
    """int64[samples], as Forwarded.best of a batch without masks and draws."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A recorded step of one shape."""

    inputs: StepInputs
    outputs: Outputs
    replay: Callable[[], None]


@dataclass(frozen=True, slots=True)
class PagedStep:
    """A step that the device computes."""

    best: torch.Tensor
    """int64[samples] on the device."""
    wait: Callable[[], torch.Tensor]
    """Returns `best` on the CPU; raises the device's error."""
    logits: torch.Tensor
    hidden: torch.Tensor | None

    def result(self) -> Forwarded:
        return Forwarded(self.wait().tolist(), self.logits, self.hidden)


class PagedForward(ModuleForward):
    """Attention over the pages where they are, on one device."""

    draws = True
    is_asynchronous = True

    def __init__(self, model: PreTrainedModel, pool: KVPool, device: CudaDevice) -> None:
        """`pool` has the device's page size, and a padding page."""
        super().__init__(model, pool)
        self._device = device
        self._graphs: dict[int, Graph] = {}
        """By number of sequences, in ascending order."""

    @torch.inference_mode()
    def capture(self, sequences: int, table_width: int) -> None:
        """Record decode steps of up to this many sequences, each of up to `table_width` pages.

        Raises RuntimeError, which torch.OutOfMemoryError is.
        """
        # The largest first: the memory of its intermediate tensors serves the others.
        graphs = {
            bucket: self._captured(InputShape(bucket, bucket, bucket, table_width, max_q=1))
            for bucket in reversed(buckets(sequences))
        }
        self._graphs = dict(sorted(graphs.items()))

    def drop_graphs(self) -> None:
        """Compute every step without graphs from now on."""
        self._graphs = {}

    def _captured(self, shape: InputShape) -> Graph:
        blank = Batch((), (), (), (), wants_hidden=False)
        inputs = StepInputs(shape, self._device.upload(pack(blank, shape, self.pool)))
        outputs, replay = self._device.capture(lambda: self._compute(inputs))
        return Graph(inputs, outputs, replay)

    def run(self, batch: Batch) -> Forwarded:
        return self.launch(batch).result()

    @torch.inference_mode()
    def launch(self, batch: Batch, after: PagedStep | None = None) -> PagedStep:
        """Start a batch without waiting for it; the one before may still run."""
        graph = self._graph_of(batch)
        shape = exact_shape(batch) if graph is None else graph.inputs.shape
        packed = self._device.upload(pack(batch, shape, self.pool))
        inputs = StepInputs(shape, packed) if graph is None else graph.inputs
        if graph is not None:
            inputs.packed.copy_(packed)
        if after is not None:
            sources = self._device.upload(array("i", batch.ids_from))
            # A row that holds NaN has no token, and its request fails when that is known.
            tokens = after.best[sources.long()].clamp(min=0)
            inputs.ids[: len(batch.ids_from)] = tokens.int()
        if graph is not None:
            graph.replay()
        outputs = self._compute(inputs) if graph is None else graph.outputs
        return self._sampled(batch, outputs)

    def _graph_of(self, batch: Batch) -> Graph | None:
        """Return the smallest graph that computes a batch."""
        decodes = len(batch.samples) == len(batch.spans) == len(batch.ids)
        if not decodes or batch.wants_hidden:
            return None
        count, width = len(batch.spans), max(len(span.block_table) for span in batch.spans)
        found = next((g for bucket, g in self._graphs.items() if bucket >= count), None)
        return found if found and width <= found.inputs.shape.table_width else None

    def _compute(self, inputs: StepInputs) -> Outputs:
        step_kv = VarlenKV(self.pool, inputs, self._device.attention)
        hidden = self._hidden(inputs.ids, inputs.positions, step_kv)
        logits: torch.Tensor = self._head(hidden[inputs.samples.long()])
        return Outputs(hidden, logits, argmax_rows(logits))

    def _sampled(self, batch: Batch, outputs: Outputs) -> PagedStep:
        logits, best = outputs.logits[: len(batch.samples)], outputs.best[: len(batch.samples)]
        if batch.masks:  # rows whose logits are not wanted
            for i, mask in batch.masks.items():
                exclude(mask, logits[i])
            best = argmax_rows(logits)
        if batch.draws:
            best = self._drawn(logits, best, batch.draws)
        wanted = array("i", [i for i, wants in enumerate(batch.wants_logits) if wants])
        rows = logits[self._device.upload(wanted).long()] if wanted else logits[:0]
        hidden = outputs.hidden if batch.wants_hidden else None
        return PagedStep(best, self._device.download(best), rows.float(), hidden)

    def _drawn(
        self, logits: torch.Tensor, best: torch.Tensor, draws: Mapping[int, Draw]
    ) -> torch.Tensor:
        """Replace the tokens of some samples by draws; a row that holds NaN or Inf keeps its -1."""
        rows = self._device.upload(array("i", draws)).long()
        packed = array("d", [x for draw in draws.values() for x in draw])
        table = self._device.upload(packed).view(len(draws), -1)
        filters = any(draw.top_k or draw.top_p < 1 or draw.min_p for draw in draws.values())
        tokens = draw_rows(logits[rows], table, filters=filters)
        return best.index_copy(0, rows, torch.where(best[rows] < 0, -1, tokens))


def buckets(sequences: int) -> Sequence[int]:
    """Return the sizes of decode graphs for up to this many sequences, in ascending order."""
    sizes = [1]
    while sizes[-1] < sequences:
        last = sizes[-1]
        power = 1 << (last.bit_length() - 1)
        sizes.append(2 * last if last < _FEW else last + power // 2)
    return [*sizes[:-1], sequences]
