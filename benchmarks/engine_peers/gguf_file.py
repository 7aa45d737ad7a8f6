"""Write a Qwen2 model folder as GGUF, without a tokenizer: prompts are token ids.

    python -m engine_peers.gguf_file SOURCE FILE [q8_0 | q4_0]

SOURCE is the model folder, or the GGUF file to quantize.

Needs gguf and llama-cpp-python only, so safetensors is read by its format: a length, a JSON header,
and the bytes of the tensors.
"""

import argparse
import ctypes
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

from engine_peers.llama_log import log_errors_only

_DTYPES = {
    "BF16": gguf.GGMLQuantizationType.BF16,
    "F16": gguf.GGMLQuantizationType.F16,
    "F32": gguf.GGMLQuantizationType.F32,
}
_FTYPES = {
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}


def tensors(file: Path) -> Iterator[tuple[str, str, tuple[int, ...], Any]]:
    """Yield name, dtype, shape and bytes (mapped) of every tensor of a safetensors file."""
    data = np.memmap(file, np.uint8, "r")
    (length,) = struct.unpack("<Q", bytes(data[:8]))
    header = json.loads(bytes(data[8 : 8 + length]))
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            yield name, entry["dtype"], tuple(entry["shape"]), data[start:end]


def as_float32(dtype: str, raw: Any) -> Any:
    """Return the values: a bfloat16 is the upper half of a float32."""
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view(np.float16 if dtype == "F16" else np.float32).astype(np.float32)


def write(folder: Path, file: Path) -> None:
    """Write the weights unchanged, except vectors: llama.cpp requires them in float32."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "qwen2")
    _add_config(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for source in sorted(folder.glob("*.safetensors")):
        for name, dtype, shape, raw in tensors(source):
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if len(shape) == 1:
                writer.add_tensor(target, as_float32(dtype, raw))
            else:
                rows = raw.reshape(shape[0], -1)
                writer.add_tensor(target, rows, raw_dtype=_DTYPES[dtype])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_config(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def quantize(source: Path, target: Path, kind: str) -> None:
    """Write a quantized copy, with llama.cpp's choice of types per tensor.

    Raises RuntimeError when llama.cpp refuses.
    """
    log_errors_only()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = _FTYPES[kind]
    code = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    if code:
        raise RuntimeError(f"llama_model_quantize returned {code}")


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("kind", nargs="?", choices=_FTYPES)
    args = parser.parse_args()
    unfinished = args.file.with_suffix(".unfinished")
    if args.kind is None:
        write(args.source, unfinished)
    else:
        quantize(args.source, unfinished, args.kind)
    unfinished.rename(args.file)


if __name__ == "__main__":
    main()
