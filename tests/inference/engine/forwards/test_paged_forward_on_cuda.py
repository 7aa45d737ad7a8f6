"""Steps on a GPU, with torch's fake tensors in its place: they have devices, dtypes and no data.

An operation on tensors of two devices raises, and so does one that needs a value on the host.
"""

from array import array
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention.varlen import varlen_attn
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.random_configs import NAMES, random_config
from sizeup_inference.engine.forward import Batch, Draw
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout, Span

T = TypeVar("T")
PAGE_SIZE = 256


class FakeGpu(ReferenceDevice):
    """Copies to and from a GPU, and torch's own attention."""

    def __init__(self) -> None:
        super().__init__(PAGE_SIZE)
        self.attention = varlen_attn

    def upload(self, values: "array[int] | array[float]") -> torch.Tensor:
        dtype = torch.int32 if values.typecode == "i" else torch.float64
        return torch.empty(len(values), dtype=dtype, device="cuda")

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: tensor.to("cpu")

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        self.captured += 1
        return compute(), lambda: None


def make_model(name: str) -> PreTrainedModel:
    with torch.device("cuda"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            random_config(name), dtype=torch.bfloat16, attn_implementation=ATTENTION_NAME
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


@pytest.mark.parametrize("name", NAMES)
def test_a_step_neither_waits_for_the_device_nor_mixes_devices(name: str) -> None:
    config = random_config(name)
    with FakeTensorMode():
        devices = [torch.device("cuda")] * config.num_hidden_layers
        layout = PoolLayout(10, PAGE_SIZE, config.num_key_value_heads, config.head_dim)
        pool = KVPool(layout, torch.bfloat16, devices, padding_pages=1)
        device = FakeGpu()
        forward = PagedForward(make_model(name), pool, device)
        forward.capture(8, table_width=4)
        assert device.captured == 4
        prefill = Batch(
            [1, 2, 3, 4],
            (Span(0, 1, 6, (0,)), Span(1, 3, 300, (1, 2))),
            [0, 3],
            [False, True],
            wants_hidden=True,
            draws={0: Draw(1.0, 5, 0.9, 0.1, 0.5)},
        )
        decode = Batch(
            [0, 0],
            (Span(0, 1, 7, (0,)), Span(1, 1, 301, (1, 2))),
            [0, 1],
            [False, False],
            wants_hidden=False,
            draws={1: Draw(1.0, 0, 1.0, 0.0, 0.5)},
            ids_from=[0, 1],
        )
        launched = forward.launch(prefill)
        assert launched.best.device.type == "cuda"
        following = forward.launch(decode, launched)
        assert following.best.shape == (2,)
        hidden = torch.empty(3, config.hidden_size, dtype=torch.bfloat16, device="cuda")
        assert forward.logits(hidden).shape == (3, config.vocab_size)
