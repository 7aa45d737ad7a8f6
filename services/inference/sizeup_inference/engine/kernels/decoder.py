"""The compiled decoder: weights packed once, then a step in one call of the C library."""

import ctypes
from array import array
from collections.abc import Sequence
from itertools import accumulate

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.kernels.architectures import (
    Architecture,
    LayerWeights,
    Linear,
    format_of,
    read_architecture,
)
from sizeup_inference.engine.kernels.library import PANEL, Layer, Level, Model, Step, load_library
from sizeup_inference.engine.kernels.quantize import DTYPES, FORMATS
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.quantization.formats import Format
from sizeup_inference.engine.quantization.modules import QuantizedEmbedding, QuantizedLinear

PAGE_SIZE = 32
"""Tokens in a page of the KV pool: the depth of one AMX tile, which a page's values fill."""

_SIZES = ("hidden", "intermediate", "heads", "kv_heads", "head_dim", "vocab")
_CONSTANTS = ("epsilon", "rope_scale")
"""Fields of Architecture that Model has as well."""

_NO_MEMORY, _BAD_TOKEN = 1, 2
_ALIGNMENT = 64


class CompiledDecoder(ForwardPass):
    """Computes steps of one model on the CPU. Used by the compute thread only."""

    def __init__(
        self, model: PreTrainedModel, pool: KVPool, threads: int, level: Level | None = None
    ) -> None:
        """Pack the model's weights, freeing each as it goes: the model is unusable afterwards.

        `pool` has pages of PAGE_SIZE tokens; its content is laid out as attention.h describes.
        `level` is the processor's own by default. Raises MemoryError.
        """
        library = load_library()
        if library is None:
            raise RuntimeError("the kernels were not built")
        self._library = library
        self.pool = pool
        best = Level(library.sizeup_processor_level())
        if level is not None and level > best:
            raise ValueError(f"this processor has no {level.name}")
        found = read_architecture(model)
        self.level = best if level is None else level
        if found.dtype == torch.float32:
            self.level = Level.PORTABLE
        self._threads = _checked(library.sizeup_pool_create(threads))
        self._vocab, self._hidden_size = found.vocab, found.hidden
        self._pack(found)
        self._decoder = _checked(
            library.sizeup_decoder_create(self._threads, ctypes.byref(self._model))
        )
        self._logits = torch.empty(0, self._vocab)

    def close(self) -> None:
        """Free the weights and end the threads."""
        self._library.sizeup_decoder_destroy(self._decoder)
        self._library.sizeup_pool_destroy(self._threads)
        self._library.sizeup_free(self._arena)

    def _pack(self, found: Architecture) -> None:
        self.weight_bytes = sum(self._packed_bytes(group, found.dtype) for group in _groups(found))
        self._arena = _checked(self._library.sizeup_allocate(self.weight_bytes))
        self._next = self._arena
        self._kept: list[torch.Tensor] = []
        """Small tensors that the C structures point to."""
        head = self._pack_linears([found.head], found.dtype, keep=found.tied)
        layers = []
        for index, weights in enumerate(found.layers):
            layers.append(self._pack_layer(index, weights))
            self._library.sizeup_trim()
        self._layers = (Layer * len(layers))(*layers)
        embedding = None if found.tied else self._pack_embedding(found)
        self._model = Model(
            dtype=DTYPES[found.dtype],
            level=self.level,
            format=_code(format_of(found.layers[0].o), found.dtype),
            head_format=_code(format_of(found.head), found.dtype),
            layer_count=len(layers),
            page_size=self.pool.layout.page_size,
            scale=found.head_dim**-0.5,
            inverse_frequencies=self._keep(found.inverse_frequencies),
            final_norm=self._keep(found.final_norm),
            head=head,
            embedding=embedding,
            layers=self._layers,
            **{name: getattr(found, name) for name in (*_SIZES, *_CONSTANTS)},
        )
        if found.tied:
            _free(found.head)
            _free(found.embedding)

    def _pack_layer(self, index: int, weights: LayerWeights) -> Layer:
        biases = tuple(linear.bias for linear in weights.qkv if linear.bias is not None)
        dtype = self.pool.keys[index].dtype
        return Layer(
            input_norm=self._keep(weights.input_norm),
            post_norm=self._keep(weights.post_norm),
            q_norm=self._keep(weights.q_norm),
            k_norm=self._keep(weights.k_norm),
            qkv_bias=self._keep(torch.cat(biases) if biases else None),
            qkv=self._pack_linears(weights.qkv, dtype),
            o=self._pack_linears([weights.o], dtype),
            gate_up=self._pack_linears(weights.gate_up, dtype, interleave=True),
            down=self._pack_linears([weights.down], dtype),
            keys=self.pool.keys[index].data_ptr(),
            values=self.pool.values[index].data_ptr(),
            window=weights.window or 0,
        )

    def _pack_embedding(self, found: Architecture) -> int | None:
        if not isinstance(found.embedding, QuantizedEmbedding):
            return self._keep(found.embedding.weight, found.dtype)
        address = self._pack_linears([_as_linear(found.embedding)], found.dtype)
        _free(found.embedding)
        return address

    def _pack_linears(
        self,
        linears: Sequence[Linear],
        dtype: torch.dtype,
        interleave: bool = False,
        keep: bool = False,
    ) -> int:
        """Pack matrices of equal depth one after another, or panel by panel; return the address."""
        start = self._next
        step = len(linears) if interleave else 1
        for position, linear in enumerate(linears):
            panel_bytes = self._panel_bytes(linear, dtype)
            target = start + position * panel_bytes if interleave else self._next
            self._pack_matrix(linear, dtype, target, step)
            self._next += _panels(linear.out_features) * panel_bytes
            if not keep:
                _free(linear)
        self._next = -(-self._next // _ALIGNMENT) * _ALIGNMENT
        return start

    def _pack_matrix(self, linear: Linear, dtype: torch.dtype, target: int, step: int) -> None:
        scales = None
        if isinstance(linear, QuantizedLinear):
            values, scales = linear.values, linear.scales.data_ptr()
        else:
            values = linear.weight.detach().contiguous()
        code, shape = _code(format_of(linear), dtype), (linear.out_features, linear.in_features)
        self._library.sizeup_pack(
            self._threads, code, values.data_ptr(), scales, *shape, target, step
        )

    def _panel_bytes(self, linear: Linear, dtype: torch.dtype) -> int:
        code = _code(format_of(linear), dtype)
        count: int = self._library.sizeup_panel_bytes(code, linear.in_features)
        return count

    def _packed_bytes(self, group: Sequence[Linear], dtype: torch.dtype) -> int:
        size = sum(_panels(m.out_features) * self._panel_bytes(m, dtype) for m in group)
        return -(-size // _ALIGNMENT) * _ALIGNMENT

    def _keep(self, tensor: torch.Tensor | None, dtype: torch.dtype = torch.float32) -> int | None:
        if tensor is None:
            return None
        self._kept.append(tensor.detach().to(dtype).contiguous())
        return self._kept[-1].data_ptr()

    def run(self, batch: Batch) -> Forwarded:
        """Compute a step. Raises ValueError for a token outside the vocabulary, and MemoryError."""
        wanted = [i for i, wants in enumerate(batch.wants_logits) if wants]
        rows = array("q", [-1]) * len(batch.samples)
        for row, sample in enumerate(wanted):
            rows[sample] = row
        logits = self._logits_buffer(len(wanted))
        hidden = torch.empty(len(batch.ids), self._hidden_size) if batch.wants_hidden else None
        best = array("q", bytes(8 * len(batch.samples)))
        masks = array("q", bytes(8 * len(batch.samples) if batch.masks else 0))
        for sample, mask in batch.masks.items():
            if len(mask) * 32 < self._vocab:
                raise ValueError("a mask is shorter than the vocabulary")
            masks[sample] = mask.buffer_info()[0]
        sizes = [len(span.block_table) for span in batch.spans]
        inputs = {
            "ids": array("q", batch.ids),
            "lengths": array("q", [span.length for span in batch.spans]),
            "contexts": array("q", [span.kv_length for span in batch.spans]),
            "first_page": array("q", accumulate(sizes, initial=0)),
            "pages": array("q", [page for span in batch.spans for page in span.block_table]),
            "sample_rows": array("q", batch.samples),
            "logits_rows": rows,
            "best": best,
        }
        step = Step(
            rows=len(batch.ids),
            spans=len(batch.spans),
            samples=len(batch.samples),
            logits=logits.data_ptr(),
            hidden=None if hidden is None else hidden.data_ptr(),
            masks=masks.buffer_info()[0] if masks else None,
            **{name: values.buffer_info()[0] for name, values in inputs.items()},
        )
        _raise_for(self._library.sizeup_decoder_run(self._decoder, ctypes.byref(step)))
        return Forwarded(best.tolist(), logits, hidden)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden.contiguous()
        logits = torch.empty(len(hidden), self._vocab)
        rows, best = array("q", range(len(hidden))), array("q", bytes(8 * len(hidden)))
        step = Step(
            samples=len(hidden),
            hidden=hidden.data_ptr(),
            logits=logits.data_ptr(),
            logits_rows=rows.buffer_info()[0],
            best=best.buffer_info()[0],
        )
        _raise_for(self._library.sizeup_decoder_head(self._decoder, ctypes.byref(step)))
        return logits

    def _logits_buffer(self, rows: int) -> torch.Tensor:
        """Return a buffer, valid until the next step: fresh memory costs page faults."""
        if rows > len(self._logits):
            self._logits = torch.empty(rows, self._vocab)
        return self._logits[:rows]


def _groups(found: Architecture) -> Sequence[Sequence[Linear]]:
    """Return the matrices that are packed together."""
    layers = [g for w in found.layers for g in (w.qkv, [w.o], w.gate_up, [w.down])]
    if found.tied or not isinstance(found.embedding, QuantizedEmbedding):
        return [[found.head], *layers]
    return [[found.head], [_as_linear(found.embedding)], *layers]


def _as_linear(embedding: QuantizedEmbedding) -> QuantizedLinear:
    return QuantizedLinear(embedding.quantized, embedding.dtype, bias=None)


def _code(form: Format | None, dtype: torch.dtype) -> int:
    return DTYPES[dtype] if form is None else FORMATS[form]


def _panels(columns: int) -> int:
    return -(-columns // PANEL)


def _free(module: Linear | torch.nn.Embedding | QuantizedEmbedding) -> None:
    if isinstance(module, QuantizedLinear | QuantizedEmbedding):
        module.free()
    else:
        module.weight = torch.nn.Parameter(module.weight.new_empty(0), requires_grad=False)


def _checked(address: int | None) -> int:
    if not address:
        raise MemoryError("no memory for the compiled decoder")
    return address


def _raise_for(code: int) -> None:
    if code == _NO_MEMORY:
        raise MemoryError("no memory for the activations of a step")
    if code == _BAD_TOKEN:
        raise ValueError("a token is outside the vocabulary")
