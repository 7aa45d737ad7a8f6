"""The model of the fake engine: tokenizer, description and startup."""

import hashlib
import json
import time
from pathlib import Path

from sizeup_inference.engine.protocol import Deliver
from sizeup_inference.fake.engine import EMBEDDING_SIZE, FakeEngine, FakeLimits
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.settings import Settings
from sizeup_inference.startup.embedding_config import read_embedding_config
from sizeup_inference.startup.loaded_model import Progress, RunningModel, reported_id
from sizeup_inference.startup.model_info import capabilities
from sizeup_inference.text.infill import Infill
from sizeup_inference.text.tokenizer import EncodedPrompt, Tokenizer
from sizeup_wire.generate import ChatMessage, ChatPrompt
from sizeup_wire.model import ModelInfo, SamplingDefaults

CONTEXT_LENGTH = 32768
"""That of Qwen1.5."""

_SPECIAL = (b"<|endoftext|>", b"<|im_start|>", b"<|im_end|>")
"""Qwen's special tokens; their ids follow the 256 bytes."""

VOCAB_SIZE = 256 + len(_SPECIAL)
IM_START, IM_END = 257, 258
TEMPLATE = "{% for message in messages %}ChatML of {{ message.role }}, tools first{% endfor %}"
"""Reported by GET model; ByteTokenizer renders ChatML itself."""


class ByteTokenizer:
    """One token per byte of UTF-8, with ChatML around messages."""

    longest_token = max(map(len, _SPECIAL))
    infill: Infill | None = None

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        """Render ChatML; content becomes bytes, never special tokens."""
        ids = list(prompt.prefix_token_ids)
        if prompt.tools:
            ids += _turn("system", "\n".join(json.dumps(tool) for tool in prompt.tools))
        for message in prompt.messages:
            ids += _turn(message.role, _content(message))
        if prompt.continue_final:
            del ids[-2:]  # <|im_end|> and a newline
        else:
            ids += [IM_START, *b"assistant\n"]
        rendered = b"".join(map(self.token_bytes, ids[len(prompt.prefix_token_ids) :]))
        return EncodedPrompt(tuple(ids), rendered.decode())

    def encode_text(self, text: str) -> EncodedPrompt:
        """Encode text, in which there are no special tokens."""
        return EncodedPrompt(tuple(text.encode()))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the byte, or the name of a special token."""
        return bytes([token_id]) if token_id < 256 else _SPECIAL[token_id - 256]

    def is_special(self, token_id: int) -> bool:
        """Return whether it is no byte."""
        return token_id >= 256


def _content(message: ChatMessage) -> str:
    calls = (
        f"{call.name}({call.arguments_text or json.dumps(call.arguments)})"
        for call in message.tool_calls
    )
    return "\n".join((message.content, *calls))


def _turn(role: str, content: str) -> list[int]:
    return [IM_START, *f"{role}\n{content}".encode(), IM_END, *b"\n"]


def start_fake(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Start a fake engine, with the tokenizer of the model's folder where it has one."""
    started = time.monotonic_ns()
    folder = Path(settings.model)
    decided: dict[str, object] = {}
    embedding = read_embedding_config(folder)
    tokenizer: Tokenizer = ByteTokenizer()
    if (folder / "tokenizer.json").is_file():
        progress("tokenizer", 0.0)
        tokenizer, decided = _load_tokenizer(folder)
    if embedding is not None:
        decided["capabilities"] = ("embedding",)
    limits = FakeLimits(
        max_num_seqs=settings.max_num_seqs,
        max_waiting=settings.max_waiting,
        token_seconds=settings.fake_token_seconds,
    )
    engine = FakeEngine(deliver, limits)
    progress("ready", 1.0)
    decided["load_ns"] = time.monotonic_ns() - started
    info = describe(settings).model_copy(update=decided)
    return RunningModel(engine, info, tokenizer, embedding or EmbeddingConfig())


def _load_tokenizer(folder: Path) -> tuple[Tokenizer, dict[str, object]]:
    from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer  # needs transformers

    tokenizer = HuggingFaceTokenizer.load(folder)
    eos = tokenizer.eos_token_id
    return tokenizer, {
        "vocab_size": tokenizer.vocab_size,
        "longest_token": tokenizer.longest_token,
        "template": tokenizer.template,
        "capabilities": capabilities(tokenizer.template, infills=tokenizer.infill is not None),
        "eos_token_ids": () if eos is None else (eos,),
    }


def describe(settings: Settings) -> ModelInfo:
    model_id = reported_id(settings)
    return ModelInfo(
        id=model_id,
        revision=settings.revision,
        architecture="fake",
        parameters=VOCAB_SIZE * EMBEDDING_SIZE,
        weight_bytes=0,
        device_bytes=0,
        dtype="float32",
        device="cpu",
        layers=0,
        hidden_size=EMBEDDING_SIZE,
        intermediate_size=0,
        heads=1,
        kv_heads=1,
        vocab_size=VOCAB_SIZE,
        longest_token=ByteTokenizer.longest_token,
        rope_theta=None,
        context_length=settings.max_model_len or CONTEXT_LENGTH,
        template=TEMPLATE,
        capabilities=("completion", "tools"),
        license="",
        digest=hashlib.sha256(model_id.encode()).hexdigest(),
        modified_at=0.0,
        eos_token_ids=(IM_END,),
        sampling=SamplingDefaults(),
        load_ns=0,
    )
