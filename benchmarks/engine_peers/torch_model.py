"""Loading a transformers model for a peer, and its sizes. Needs torch and transformers only."""

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine_peers.messages import PeerOptions


def load_model(options: PeerOptions) -> PreTrainedModel:
    """Load a model folder in its own dtype with PyTorch's attention, for inference."""
    torch.set_num_threads(options.threads)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        options.weights, dtype="auto", attn_implementation="sdpa"
    )
    model.to(options.device)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    return model


def step_weight_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of the weights that a decode step reads.

    It reads a few rows of the embedding table, and all of it where it is the output head too.
    """
    total = sum(parameter.nbytes for parameter in model.parameters())
    config = model.config.get_text_config()
    table: int = config.vocab_size * config.hidden_size * model.dtype.itemsize
    return total if config.tie_word_embeddings else total - table


def kv_bytes_per_token(model: PreTrainedModel) -> int:
    """Return the bytes of keys and values of a token in the dtype of the model."""
    config = model.config.get_text_config()
    head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    values: int = 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim
    return values * model.dtype.itemsize


def peak_device_bytes() -> int:
    """Return the peak of reserved GPU memory since the last call; 0 without a GPU."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 0
    peak = torch.cuda.max_memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    return peak
