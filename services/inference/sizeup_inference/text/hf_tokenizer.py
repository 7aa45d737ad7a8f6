"""Prompts through the model's own chat template and tokenizer; the one caller of both.

User text can never become special tokens. Before rendering, every added-token string inside the
messages and tools is replaced by an unguessable stand-in from the private use area; what then looks
like an added token in the rendered text was written by the template. The text is cut there, the
stand-ins are turned back, and the stretches between are encoded by a tokenizer that has no added
tokens. A byte-level BPE is cut at added tokens anyway, so the ids equal those of
`apply_chat_template` wherever no message contains such a string.

Raw prompts (`TextPrompt`) are different by convention (vLLM, Ollama's raw mode): there the caller
writes the template, so special tokens in the text count as such.
"""

import re
import secrets
from pathlib import Path
from typing import Any, Self

import jinja2
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import ByteLevel
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sizeup_inference.errors import PromptError
from sizeup_inference.text.detokenize import piece_bytes, piece_table
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.generate import ChatMessage, ChatPrompt

_TRUSTED_MARKUP_ROLES = frozenset({"system", "assistant"})
"""Here `<think>` and `<tool_call>` keep their meaning: the system prompt describes them, and the
assistant wrote them as tokens. Control tokens such as `<|im_end|>` are text in every role."""

_MESSAGE_CHARACTERS = 300
"""Of a template's complaint: some quote the whole conversation."""


def capabilities(template: str) -> tuple[str, ...]:
    """Tell what a chat template can render, in the words of ModelInfo.capabilities."""
    found = ["completion"]
    if re.search(r"\btools\b", template):
        found.append("tools")
    if "enable_thinking" in template or "<think>" in template:
        found.append("thinking")
    return tuple(found)


class HuggingFaceTokenizer:
    """A fast tokenizer with a byte-level BPE, as the whole Qwen line has."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Build the tables; raise ValueError for a tokenizer that is not byte-level."""
        fast = tokenizer.backend_tokenizer
        if not isinstance(fast.decoder, ByteLevel):
            raise ValueError("the tokenizer is not a byte-level BPE")  # noqa: TRY004  # bad data
        fast.no_truncation()
        fast.no_padding()
        self._tokenizer = tokenizer
        self._fast = fast
        self._plain = FastTokenizer(fast.model)  # the same merges, and no added tokens
        self._plain.normalizer = fast.normalizer
        self._plain.pre_tokenizer = fast.pre_tokenizer
        added = self._fast.get_added_tokens_decoder()
        self._special_ids = frozenset(i for i, token in added.items() if token.special)
        self._special = _any_of([token.content for token in added.values() if token.special])
        self._added = _any_of([token.content for token in added.values()])
        self._bytes = self._token_table()
        self._vocab_size = max(self._bytes) + 1
        self._check_plain({i: token.content for i, token in added.items()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model folder's tokenizer; no code from the folder is run."""
        return cls(AutoTokenizer.from_pretrained(folder, trust_remote_code=False))

    @property
    def template(self) -> str:
        """The chat template's text; empty for a base model without one."""
        template = self._tokenizer.chat_template
        return template if isinstance(template, str) else ""

    @property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return self._vocab_size

    @property
    def eos_token_id(self) -> int | None:
        """The end-of-sequence token of tokenizer_config.json."""
        token_id: int | None = self._tokenizer.eos_token_id
        return token_id

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        """Render and encode; raise PromptError when the template refuses the messages."""
        shield = _Shield(self._special, self._added)
        rendered = self._render(prompt, shield)
        tail = self._special.split(rendered)[-1]
        return EncodedPrompt(
            token_ids=(*prompt.prefix_token_ids, *self._encode_rendered(rendered, shield)),
            rendered=shield.reveal(rendered),
            is_thinking=tail.rfind("<think>") > tail.rfind("</think>"),
        )

    def encode_text(self, text: str) -> EncodedPrompt:
        """Encode text in which special tokens count as such."""
        return EncodedPrompt(tuple(self._fast.encode(text).ids))

    def token_bytes(self, token_id: int) -> bytes:
        """Return a token's own bytes; none for an id the vocabulary leaves unused."""
        return self._bytes.get(token_id, b"")

    def text_bytes(self, token_id: int) -> bytes:
        """Return what a token adds to the text."""
        return b"" if token_id in self._special_ids else self.token_bytes(token_id)

    def _token_table(self) -> dict[int, bytes]:
        table = piece_table()
        vocabulary = self._fast.get_vocab(with_added_tokens=True)
        return {i: piece_bytes(piece, table) for piece, i in vocabulary.items()}

    def _check_plain(self, added: dict[int, str]) -> None:
        """Refuse a vocabulary whose merges can spell an added token."""
        for content in added.values():
            if not added.keys().isdisjoint(self._plain.encode(content).ids):
                raise ValueError(f"plain text can become the token {content!r}")

    def _render(self, prompt: ChatPrompt, shield: "_Shield") -> str:
        options: dict[str, Any] = (
            {} if prompt.thinking is None else {"enable_thinking": prompt.thinking == "on"}
        )
        try:
            rendered = self._tokenizer.apply_chat_template(
                [_to_template(message, shield) for message in prompt.messages],
                tools=[shield.hide(tool) for tool in prompt.tools] or None,
                add_generation_prompt=not prompt.continue_final,
                continue_final_message=prompt.continue_final,
                tokenize=False,
                **options,
            )
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            complaint = shield.reveal(str(error))[:_MESSAGE_CHARACTERS]
            raise PromptError(f"chat template: {complaint}", param="prompt.messages") from error
        return str(rendered)

    def _encode_rendered(self, rendered: str, shield: "_Shield") -> list[int]:
        if not shield.is_used:
            return list(self._fast.encode(rendered, add_special_tokens=False).ids)
        ids: list[int] = []
        for i, piece in enumerate(self._added.split(rendered)):
            if i % 2:  # re.split puts what the group matched at the odd places
                ids += self._fast.encode(piece, add_special_tokens=False).ids
            else:
                ids += self._plain.encode(shield.reveal(piece), add_special_tokens=False).ids
        return ids


def _any_of(strings: list[str]) -> re.Pattern[str]:
    """Match any of them, the longest first, as the tokenizer does; as one group."""
    longest_first = sorted(strings, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")


class _Shield:
    """Stand-ins for the added-token strings in one prompt's user text.

    A stand-in is not white space, not ASCII and has no case, so it survives what templates do to
    strings: trimming, JSON quoting, splitting at tags.
    """

    def __init__(self, special: re.Pattern[str], added: re.Pattern[str]) -> None:
        """Know what to replace: control tokens only, or every added token."""
        self._special = special
        self._added = added
        # 16 characters out of 256: nobody can put a stand-in of this prompt into its text
        self._key = "".join(chr(0xE000 + byte) for byte in secrets.token_bytes(16))
        self._stand_ins: dict[str, str] = {}

    @property
    def is_used(self) -> bool:
        """Tell whether anything was replaced."""
        return bool(self._stand_ins)

    def hide(self, value: Any, *, keep_markup: bool = False) -> Any:
        """Replace in every string of a JSON value, keys included."""
        if isinstance(value, str):
            return (self._special if keep_markup else self._added).sub(self._stand_in, value)
        if isinstance(value, dict):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value

    def reveal(self, text: str) -> str:
        """Turn every stand-in back into what it stands for."""
        for original, stand_in in self._stand_ins.items():
            text = text.replace(stand_in, original)
        return text

    def _stand_in(self, match: re.Match[str]) -> str:
        # the character after the key numbers the token; 0xE100 keeps it apart from the key's own
        number = chr(0xE100 + len(self._stand_ins))
        return self._stand_ins.setdefault(match[0], self._key + number)


def _to_template(message: ChatMessage, shield: _Shield) -> dict[str, Any]:
    """Turn a message into the dictionary that chat templates take."""
    keep = message.role in _TRUSTED_MARKUP_ROLES
    turn = {"role": message.role, "content": shield.hide(message.content, keep_markup=keep)}
    if message.thinking is not None:
        turn["reasoning_content"] = shield.hide(message.thinking, keep_markup=keep)
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "type": "function",
                **({} if call.id is None else {"id": shield.hide(call.id)}),
                "function": {
                    "name": shield.hide(call.name),
                    "arguments": shield.hide(call.arguments),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = shield.hide(message.tool_call_id)
    if message.name is not None:
        turn["name"] = shield.hide(message.name)
    return turn
