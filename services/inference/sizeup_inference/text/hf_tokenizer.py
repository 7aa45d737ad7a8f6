"""The model's chat template and tokenizer.

User text cannot inject special tokens. Before rendering, every added-token string in the messages
and tools is replaced by an unguessable placeholder from the private use area, so that an added
token in the rendered text comes from the template. The text is split there, the placeholders are
replaced back, and the pieces between are encoded by a tokenizer without added tokens. A byte-level
BPE splits at added tokens anyway, so the ids equal those of `apply_chat_template` where no message
contains such a string.

Raw prompts (`TextPrompt`) differ by convention (vLLM, Ollama's raw mode): the client writes the
template itself, so special tokens in the text are encoded as such.
"""

import re
import secrets
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import jinja2
from tokenizers import Encoding
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import ByteLevel
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sizeup_inference.errors import PromptError
from sizeup_inference.text.infill import Infill
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.generate import ChatMessage, ChatPrompt, ToolCallRequest

_TRUSTED_MARKUP_ROLES = frozenset({"system", "assistant"})
"""Roles in which `<think>` and `<tool_call>` are tokens: system prompts describe them, and the
assistant generated them."""

_MARKUP = re.compile(r"</?\w+>")
"""The other added tokens are control tokens, which are text in every role: `<|im_end|>`, and also
`<|fim_middle|>` and `<|file_sep|>`, which Qwen does not declare as special."""

_ERROR_CHARACTERS = 300
"""Limit of a template's error message: some quote the whole conversation."""

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_ALPHABET = {chr(byte): byte for byte in _PRINTABLE}
"""GPT-2's byte-level alphabet: printable bytes are themselves, the others from U+0100 on."""
_ALPHABET |= {chr(256 + i): byte for i, byte in enumerate(sorted({*range(256)} - _PRINTABLE))}


class HuggingFaceTokenizer:
    """A fast tokenizer with a byte-level BPE, as in every Qwen release."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise ValueError for a tokenizer that is not byte-level."""
        fast = tokenizer.backend_tokenizer
        if not isinstance(fast.decoder, ByteLevel):
            raise ValueError("the tokenizer is not a byte-level BPE")  # noqa: TRY004  # invalid data, not a type
        fast.no_truncation()
        fast.no_padding()
        self._tokenizer = tokenizer
        self._fast = fast
        self._plain = FastTokenizer(fast.model)  # the same merges without added tokens
        self._plain.normalizer = fast.normalizer
        self._plain.pre_tokenizer = fast.pre_tokenizer
        template = tokenizer.chat_template
        self.template = template if isinstance(template, str) else ""
        """The chat template's text; empty for a base model without one."""
        self.eos_token_id: int | None = tokenizer.eos_token_id
        """The end-of-sequence token of tokenizer_config.json."""
        added = fast.get_added_tokens_decoder()
        self._special_ids = frozenset(i for i, token in added.items() if token.special)
        self._control = _any_of(
            [t.content for t in added.values() if t.special or not _MARKUP.fullmatch(t.content)]
        )
        self._added = _any_of([token.content for token in added.values()])
        self._bytes = {i: _piece_bytes(piece) for piece, i in self.vocabulary.items()}
        self.vocab_size = max(self._bytes) + 1
        """The largest token id plus one."""
        self.longest_token = max(map(len, self._bytes.values()))
        self._check_plain({i: token.content for i, token in added.items()})
        self.infill = Infill.of({t.content: i for i, t in added.items()}, self._encode_plain)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a model folder's tokenizer without executing code from it."""
        return cls(AutoTokenizer.from_pretrained(folder, trust_remote_code=False))

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token's id, added tokens included."""
        vocabulary: dict[str, int] = self._fast.get_vocab(with_added_tokens=True)
        return vocabulary

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        shield = _Shield(self._control, self._added)
        rendered = self._render(prompt, shield)
        tail = self._control.split(rendered)[-1]
        return EncodedPrompt(
            token_ids=(*prompt.prefix_token_ids, *self._encode_rendered(rendered, shield)),
            rendered=shield.reveal(rendered),
            is_thinking=tail.rfind("<think>") > tail.rfind("</think>"),
        )

    def encode_text(self, text: str) -> EncodedPrompt:
        encoding = _encode(self._fast, text, add_special_tokens=True)
        added = takewhile(bool, reversed(encoding.special_tokens_mask))  # by the post-processor
        return EncodedPrompt(tuple(encoding.ids), appended=sum(added))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; none for an unused id."""
        return self._bytes.get(token_id, b"")

    def is_special(self, token_id: int) -> bool:
        return token_id in self._special_ids

    def _encode_plain(self, text: str) -> list[int]:
        return list(_encode(self._plain, text).ids)

    def _check_plain(self, added: dict[int, str]) -> None:
        """Raise ValueError for a vocabulary whose merges can produce an added token."""
        for content in added.values():
            if not added.keys().isdisjoint(self._encode_plain(content)):
                raise ValueError(f"plain text can be encoded as the token {content!r}")

    def _render(self, prompt: ChatPrompt, shield: "_Shield") -> str:
        """Render; a template that rejects text as the arguments of a call gets it in an object."""
        try:
            return self._apply_template(prompt, shield)
        except PromptError:
            if not any(call.arguments_text for m in prompt.messages for call in m.tool_calls):
                raise
            return self._apply_template(prompt, shield, text_arguments=False)

    def _apply_template(
        self, prompt: ChatPrompt, shield: "_Shield", *, text_arguments: bool = True
    ) -> str:
        options: dict[str, Any] = (
            {} if prompt.thinking is None else {"enable_thinking": prompt.thinking == "on"}
        )
        try:
            rendered = self._tokenizer.apply_chat_template(
                [_to_template(message, shield, text_arguments) for message in prompt.messages],
                tools=[shield.hide(tool) for tool in prompt.tools] or None,
                add_generation_prompt=not prompt.continue_final,
                continue_final_message=prompt.continue_final,
                tokenize=False,
                **options,
            )
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            message = shield.reveal(str(error))[:_ERROR_CHARACTERS]
            raise PromptError(f"chat template: {message}", param="prompt.messages") from error
        return str(rendered)

    def _encode_rendered(self, rendered: str, shield: "_Shield") -> list[int]:
        if not shield.placeholders:
            return list(_encode(self._fast, rendered).ids)
        ids: list[int] = []
        for i, piece in enumerate(self._added.split(rendered)):
            if i % 2:  # re.split puts matches of the group at odd indices
                ids += _encode(self._fast, piece).ids
            else:
                ids += self._encode_plain(shield.reveal(piece))
        return ids


def _encode(tokenizer: FastTokenizer, text: str, *, add_special_tokens: bool = False) -> Encoding:
    """Encode without the interpreter's lock, which the method for a single text holds.

    Raises PromptError where the library panics: its regular expressions give up in a run of ten
    million spaces.
    """
    try:
        return tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0]
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which is no Exception
            raise
        raise PromptError("the text cannot be tokenized", param="prompt") from None


def _piece_bytes(piece: str) -> bytes:
    """Return the bytes of a vocabulary entry; one outside the alphabet is UTF-8 text."""
    try:
        return bytes(map(_ALPHABET.__getitem__, piece))
    except KeyError:
        return piece.encode()


def _any_of(strings: list[str]) -> re.Pattern[str]:
    """Return a pattern of one group that matches any of them, longest first as the tokenizer."""
    longest_first = sorted(strings, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")


class _Shield:
    """Placeholders for the added-token strings in the user text of one prompt.

    A placeholder is not white space, not ASCII and has no case, so it survives the string
    operations of templates: trimming, JSON quoting, splitting at tags.
    """

    def __init__(self, control: re.Pattern[str], added: re.Pattern[str]) -> None:
        """`control` matches control tokens, `added` every added token."""
        self._control = control
        self._added = added
        # 16 random bytes: a client cannot guess the placeholders of its prompt
        self._key = "".join(chr(0xE000 + byte) for byte in secrets.token_bytes(16))
        self.placeholders: dict[str, str] = {}
        """By the text that each replaced."""

    def hide(self, value: Any, *, keep_markup: bool = False) -> Any:
        """Replace added tokens in every string of a JSON value, keys included."""
        if isinstance(value, str):
            return (self._control if keep_markup else self._added).sub(self._placeholder, value)
        if isinstance(value, dict):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value

    def reveal(self, text: str) -> str:
        """Replace every placeholder by its original."""
        for original, placeholder in self.placeholders.items():
            text = text.replace(placeholder, original)
        return text

    def _placeholder(self, match: re.Match[str]) -> str:
        # the last character is the token's index, from 0xE100 to differ from those of the key
        number = chr(0xE100 + len(self.placeholders))
        return self.placeholders.setdefault(match[0], self._key + number)


def _to_template(message: ChatMessage, shield: _Shield, text_arguments: bool) -> dict[str, Any]:
    """Return a message as the dictionary that chat templates expect."""
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
                    "arguments": shield.hide(_arguments(call, text_arguments)),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = shield.hide(message.tool_call_id)
    if message.name is not None:
        turn["name"] = shield.hide(message.name)
    return turn


def _arguments(call: ToolCallRequest, as_text: bool) -> str | dict[str, Any]:
    text = call.arguments_text
    if text is None:
        return call.arguments
    return text if as_text else {"arguments": text}
