"""Grammars compiled by llguidance into constraints of the output.

It computes masks lazily, token by token, so that compilation takes milliseconds, and bounds every
mask: a grammar that exceeds the limits is an error, never a stall. What may take long to compile is
tried in a process of its own first.
"""

import functools
from array import array
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from sizeup_inference.engine.protocol import Constraint, ConstraintError, ConstraintState
from sizeup_inference.text.grammar import Grammar
from sizeup_inference.text.grammar_check import check, first_mask_error
from sizeup_inference.text.output_schema import GrammarError
from sizeup_inference.text.tokenizer import Tokenizer

_LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,  # at most 20 ms of compilation
    step_lexer_fuel=50_000,  # at most 4 ms of a mask
    step_max_items=200_000,  # at most 10 ms of a mask: 400 optional properties take 6
    max_lexer_states=20_000,  # at most 40 MB of a choice; usual schemas need some hundreds
    verbose_errors=False,  # which would quote the schema
)
"""Durations and sizes as llguidance documents them."""

_MAX_CACHED = 256
_MAX_CACHED_CHARACTERS = 4 * 2**20
"""Of grammars in the cache: some 40 MB of compiled ones."""

_MAX_MESSAGE_CHARACTERS = 200
_MARK = "error: "


class LLGuidanceCompiler:
    """A GrammarCompiler with a cache."""

    def __init__(
        self, tokenizer: Tokenizer, vocab_size: int, eos_token_ids: Collection[int]
    ) -> None:
        """`vocab_size` is the model's: the number of its logits.

        Raises ValueError for a model without an end-of-sequence token, whose output could not end.
        """
        self._eos = [i for i in eos_token_ids if i < vocab_size]
        if not self._eos:
            raise ValueError("the model has no end-of-sequence token")
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._cache: OrderedDict[str, _Compiled] = OrderedDict()
        self._cached_characters = 0

    @functools.cached_property
    def _index(self) -> LLTokenizer:
        """The index of the vocabulary: 0.3 s for Qwen's, so that only its first use takes them."""
        vocabulary = _Vocabulary(self._tokenizer, self._vocab_size, self._eos[0])
        return LLTokenizer(
            TokenizerWrapper(vocabulary), n_vocab=self._vocab_size, eos_token=self._eos
        )

    def compile(self, grammar: Grammar) -> Constraint:
        text = grammar.to_json()
        if (cached := self._cache.get(text)) is not None:
            self._cache.move_to_end(text)
            return cached
        if not grammar.is_plain and (error := check(text)):
            raise GrammarError(_summary(error))
        matcher = LLMatcher(self._index, text, log_level=0, limits=_LIMITS)
        if error := first_mask_error(matcher.deep_copy()):
            del matcher  # up to 150 MB, which the exception's traceback would keep
            raise GrammarError(_summary(error))
        compiled = _Compiled(matcher)
        self._cache[text] = compiled
        self._cached_characters += len(text)
        while len(self._cache) > _MAX_CACHED or self._cached_characters > _MAX_CACHED_CHARACTERS:
            evicted, _ = self._cache.popitem(last=False)
            self._cached_characters -= len(evicted)
        return compiled


class _Compiled:
    """A constraint, and what of it may come next in one choice, which begins as a copy."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def start(self) -> ConstraintState:
        return _Compiled(self._matcher.deep_copy())

    def mask(self) -> "array[int]":
        words = array("I", self._matcher.compute_bitmask())
        if self._matcher.is_error():
            message = _summary(self._matcher.get_error())
            raise ConstraintError(f"the structured output cannot be generated: {message}")
        return words

    def accept(self, token_id: int) -> None:
        # An error is kept, and raised by the next mask.
        self._matcher.consume_token(token_id)


class _Vocabulary:
    """The vocabulary, in the form that llguidance reads."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, size: int, eos_token_id: int) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = eos_token_id
        self.tokens: Sequence[bytes] = [tokenizer.token_bytes(i) for i in range(size)]
        self.special_token_ids = [i for i in range(size) if tokenizer.is_special(i)]

    def __call__(self, text: Any) -> list[int]:
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        return list(self._tokenizer.encode_text(text).token_ids)


def _summary(message: str) -> str:
    """Return the line that says what is wrong: the first, or of a pattern the marked one."""
    first, *lines = message.split("\n")
    marked = (line.removeprefix(_MARK) for line in lines if line.startswith(_MARK))
    return next(marked, first)[:_MAX_MESSAGE_CHARACTERS]
