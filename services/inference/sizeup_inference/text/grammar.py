"""The grammar of an output: reasoning, then JSON, text by a pattern, or tool calls. Pure.

Written in llguidance's variant of Lark, which embeds JSON schemas:
https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sizeup_inference.engine.protocol import Constraint
from sizeup_inference.text.output_schema import GrammarError, is_plain, output_schema
from sizeup_inference.text.tool_call import BEGIN, END
from sizeup_wire.generate import (
    ChoiceOutput,
    JsonObjectOutput,
    JsonSchemaOutput,
    RegexOutput,
    StructuredOutput,
)

_WHITESPACE = r"( |\n {0,32})?"
"""Between the tokens of JSON: what JSON on one line and indented JSON have. Without a bound, small
models write white space until the output is full."""

_END_ANCHOR = re.compile(r"((?:^|[^\\])(?:\\\\)*)\$\Z")
_LONE_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")
_PATTERN_PART = re.compile(r"\\.|[^\\]", re.DOTALL)
_ESCAPED = {"/": r"\/", "\n": r"\n", "\\\n": r"\n"}


_MAX_PLAIN_CHARACTERS = 2**16
"""Of rules, which are compiled in some 10 ms."""


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that may be called."""

    name: str
    parameters: dict[str, Any]
    """The JSON schema of its arguments."""
    strict: bool
    """Calls have to be valid by the schema, and keywords that cannot be enforced are an error."""


Reasoning = Literal["none", "possible", "begun"]
"""`begun`: the prompt ends inside <think>."""


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """The calls that an output may hold."""

    tools: Sequence[FunctionTool]
    required: bool
    """The output is calls and nothing else."""
    parallel: bool


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules in Lark, and the JSON schemas that they refer to by name."""

    rules: str
    schemas: dict[str, dict[str, Any]]
    has_pattern: bool = False
    """Whether the rules hold a regular expression of the client."""

    @property
    def is_plain(self) -> bool:
        """Whether compilation is known to be fast."""
        if self.has_pattern or len(self.rules) > _MAX_PLAIN_CHARACTERS:
            return False
        return all(map(is_plain, self.schemas.values()))

    def to_json(self) -> str:
        """Return it in llguidance's JSON form."""
        schemas = [{"name": name, "json_schema": each} for name, each in self.schemas.items()]
        grammars = [{"name": "output", "lark_grammar": self.rules}, *schemas]
        return json.dumps({"grammars": grammars}, ensure_ascii=False)


class GrammarCompiler(Protocol):
    """Compiles grammars over the vocabulary of one model. Used by one thread at a time."""

    def compile(self, grammar: Grammar) -> Constraint:
        """Raise GrammarError; blocks for at most seconds."""


def arguments_grammar(tool: FunctionTool) -> Grammar:
    """Return the grammar of a tool's arguments alone; raise GrammarError."""
    return Grammar("start: @arguments", {"arguments": _schema(tool.parameters, tool.strict)})


def output_grammar(
    structured: StructuredOutput | None, calls: ToolCalls | None, reasoning: Reasoning
) -> Grammar:
    """Return the grammar of an output that is structured, or calls tools, or either.

    Raises GrammarError for a schema that is too large.
    """
    rules: dict[str, str] = {}
    schemas: dict[str, dict[str, Any]] = {}
    bodies: list[str] = []
    if structured is not None:
        bodies.append("answer")
        rules["answer"] = _answer(structured, schemas)
    if calls is not None and calls.tools:
        bodies.append("calls")
        for i, tool in enumerate(calls.tools):
            schemas[f"tool_{i}"] = _schema(tool.parameters, tool.strict)
        only_calls = structured is not None or calls.required
        rules |= _only_calls(calls) if only_calls else _free_calls(calls)
    rules |= _start(bodies, reasoning)
    text = "\n".join(f"{name}: {body}" for name, body in rules.items())
    return Grammar(text, schemas, isinstance(structured, RegexOutput))


def _start(bodies: Sequence[str], reasoning: Reasoning) -> dict[str, str]:
    before = {"none": "", "possible": "think? ", "begun": "thought GAP? "}[reasoning]
    rules = {"start": f"{before}({' | '.join(bodies)})"}
    if reasoning != "none":
        rules |= {"thought[lazy]": r"/(.|\n)*<\/think>/", "GAP": r"/\n{1,2}/"}
    if reasoning == "possible":
        rules["think"] = '"<think>" thought GAP?'
    return rules


def _only_calls(calls: ToolCalls) -> dict[str, str]:
    """Return the rules of calls without text around them."""
    more = r' ("\n" call)*' if calls.parallel else ""
    call = f'"{BEGIN}" ({_alternatives(calls)})'
    return {"calls": f"call{more}", "call": call, **_tools(calls)}


def _free_calls(calls: ToolCalls) -> dict[str, str]:
    """Return the rules of text in which calls may occur, each valid once its tag is written."""
    return {
        "calls": "call* TEXT" if calls.parallel else "call | TEXT",
        "call": f"head ({_alternatives(calls)})",
        "head[lazy]": f'TEXT "{BEGIN}"',
        "TEXT": r"/(.|\n)*/",
        **_tools(calls),
    }


def _tools(calls: ToolCalls) -> dict[str, str]:
    rules: dict[str, str] = {}
    for i, tool in enumerate(calls.tools):
        before = _quoted(f'\n{{"name": {_quoted(tool.name)}, "arguments": ')
        after = _quoted(f"}}\n{END}")
        rules[f"tool_{i}"] = f"{before} @tool_{i} {after}"
    return rules


def _alternatives(calls: ToolCalls) -> str:
    return " | ".join(f"tool_{i}" for i in range(len(calls.tools)))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _answer(structured: StructuredOutput, schemas: dict[str, dict[str, Any]]) -> str:
    match structured:
        case JsonObjectOutput():
            schemas["answer"] = _schema({"type": "object"}, strict=True)
        case JsonSchemaOutput():
            schemas["answer"] = _schema(structured.json_schema, structured.strict)
        case RegexOutput():
            return f"/{_escaped(structured.pattern)}/"
        case ChoiceOutput():
            return " | ".join(map(_quoted, structured.choices))
    return "@answer"


def _escaped(pattern: str) -> str:
    """Escape what would end a pattern in Lark: a slash that has no backslash, and line breaks.

    The pattern matches the whole text, so anchors around it are dropped.
    """
    pattern = _END_ANCHOR.sub(r"\1", pattern.removeprefix("^"))
    if _LONE_BACKSLASH.search(pattern):
        raise GrammarError("the pattern ends with a backslash")
    return _PATTERN_PART.sub(lambda part: _ESCAPED.get(part[0], part[0]), pattern)


def _schema(schema: dict[str, Any] | bool, strict: bool) -> dict[str, Any]:
    """Return a schema with llguidance's options in it; raise GrammarError."""
    options = {
        "whitespace_pattern": _WHITESPACE,
        "lenient": not strict,
        "json_allow_general_unicode_escapes": True,
    }
    return {**output_schema(schema, strict=strict), "x-guidance": options}
