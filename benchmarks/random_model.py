"""Models with random weights, equal for equal shapes."""

import copy
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from shapes import SHAPES


def random_model(shape: str, dtype: str, device: str = "cpu") -> PreTrainedModel:
    """Create a model in the memory of a device; `dtype` is the name of a torch dtype."""
    torch.manual_seed(0)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            copy.deepcopy(SHAPES[shape]), dtype=getattr(torch, dtype)
        )
    return model


def cached_folder(cache: Path, shape: str, dtype: str, device: str = "cpu") -> Path:
    """Return a folder with config.json and safetensors, written unless it exists.

    A GPU makes the weights of 14B parameters in seconds, a CPU in minutes.
    """
    folder = cache / f"{shape}-{dtype}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        disable_progress_bar()  # type: ignore[no-untyped-call]
        random_model(shape, dtype, device).save_pretrained(unfinished)
        if device != "cpu":  # the allocator would keep the memory, which the peers need
            torch.cuda.empty_cache()
        unfinished.rename(folder)
    return folder
