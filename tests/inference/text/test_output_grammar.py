"""Grammars of outputs, compiled over a vocabulary of bytes."""

import json
from typing import Any

import pytest

from inference.text.byte_masks import accepts, allowed
from sizeup_inference.engine.protocol import ConstraintError
from sizeup_inference.fake.model import IM_END, VOCAB_SIZE, ByteTokenizer
from sizeup_inference.text.grammar import (
    FunctionTool,
    Grammar,
    Reasoning,
    ToolCalls,
    output_grammar,
)
from sizeup_inference.text.llguidance_compiler import LLGuidanceCompiler
from sizeup_inference.text.output_schema import MAX_OPTIONAL, GrammarError
from sizeup_wire.generate import (
    ChoiceOutput,
    JsonObjectOutput,
    JsonSchemaOutput,
    RegexOutput,
    StructuredOutput,
)


@pytest.fixture(scope="module")
def compiler() -> LLGuidanceCompiler:
    return LLGuidanceCompiler(ByteTokenizer(), VOCAB_SIZE, (IM_END,))


def schema(rules: dict[str, Any] | bool, *, strict: bool = False) -> StructuredOutput:
    return JsonSchemaOutput(json_schema=rules, strict=strict)


def grammar(structured: StructuredOutput, reasoning: Reasoning = "none") -> Grammar:
    return output_grammar(structured, None, reasoning)


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ADD = FunctionTool(
    "add", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, True
)
NOW = FunctionTool("now", {"type": "object", "properties": {}}, False)


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize(
    ("structured", "text", "fits"),
    [
        (schema(PERSON), '{"name": "A\\n\\u00e9 \\"北京\\"", "age": 5}', True),
        (schema(PERSON), '{"name":"A","age":5}', True),
        (schema(PERSON), '{\n  "name": "A",\n  "age": 5\n}', True),
        (schema(PERSON), '{"name": "A"}', False),
        (schema(PERSON), '{"name": "A", "age": 5, "more": 1}', False),
        (schema(PERSON), '{"name": "A", "age": "5"}', False),
        (schema(PERSON), '{"name": "A",  "age": 5}', False),
        (schema(PERSON), ' {"name": "A", "age": 5}', False),
        (schema(PERSON), '{"name": "line\nbreak", "age": 5}', False),
        (schema(PERSON | {"additionalProperties": True}), '{"name":"A","age":5,"b":1}', True),
        (schema({"enum": ["a", 1, None]}), '"a"', True),
        (schema({"enum": ["a", 1, None]}), '"b"', False),
        (schema(True), "[1, {}]", True),
        (schema({}), '"x"', True),
        (schema({"type": "string", "pattern": "^a+$"}), '"aa"', True),
        (schema({"format": "email", "pattern": "^(?!x)", "type": "string"}), '"a@b.de"', True),
        (schema({"format": "email", "pattern": "^(?!x)", "type": "string"}), '"a"', False),
        (schema({"type": "number", "minimum": -3.5e38, "maximum": 3.5e38}), "-1.5", True),
        (schema({"type": "string", "pattern": "^a+$"}), '"ab"', False),
        (JsonObjectOutput(), '{"a": {"b": []}}', True),
        (JsonObjectOutput(), "[1]", False),
        (JsonObjectOutput(), '{"a": 1', False),
        (RegexOutput(pattern="[0-9]{2}/[a-z]"), "12/x", True),
        (RegexOutput(pattern="[0-9]{2}\\/[a-z]"), "12/x", True),
        (RegexOutput(pattern="^[0-9]+$"), "12", True),
        (RegexOutput(pattern="[0-9]+"), "12a", False),
        (RegexOutput(pattern="a\nb"), "a\nb", True),
        (RegexOutput(pattern="a/\nstart: /.*"), "a/\nstart: /b", True),
        (RegexOutput(pattern="a/\nstart: /.*"), "b", False),
        (schema({"type": "array", "contains": {"const": 1}}), "[2]", True),
        (RegexOutput(pattern="cost\\$"), "cost$", True),
        (RegexOutput(pattern="\\\\$"), "\\", True),
        (RegexOutput(pattern="北+"), "北北", True),
        (ChoiceOutput(choices=("yes", 'a "no"\n')), 'a "no"\n', True),
        (ChoiceOutput(choices=("yes", "no")), "maybe", False),
    ],
)
def test_what_an_output_may_be(
    compiler: LLGuidanceCompiler, structured: StructuredOutput, text: str, fits: bool
) -> None:
    assert accepts(compiler.compile(grammar(structured)), text) is fits


@pytest.mark.parametrize(
    ("reasoning", "text", "fits"),
    [
        ("none", '{"a": 1}', True),
        ("none", "<think>\nhm\n</think>\n\n{}", False),
        ("possible", '{"a": 1}', True),
        ("possible", '<think>\n{"b" <tool>\n</think>\n\n{"a": 1}', True),
        ("possible", '<think>hm</think>{"a": 1}', True),
        ("possible", "<think>hm</think>", False),
        ("possible", "<think>hm", False),
        ("begun", 'hm\n</think>\n\n{"a": 1}', True),
        ("begun", '{"a": 1}', False),
    ],
)
def test_reasoning_is_free(
    compiler: LLGuidanceCompiler, reasoning: Reasoning, text: str, fits: bool
) -> None:
    assert accepts(compiler.compile(grammar(JsonObjectOutput(), reasoning)), text) is fits


ONE = call("add", '{"a": 1}')
TWO = f"{ONE}\n{call('now', '{}')}"


@pytest.mark.parametrize(
    ("required", "parallel", "text", "fits"),
    [
        (True, True, call("add", '{"a": 1}'), True),
        (True, True, TWO, True),
        (True, False, TWO, False),
        (True, True, call("add", '{"a": "x"}'), False),
        (True, True, call("sub", '{"a": 1}'), False),
        (True, True, "Hello", False),
        (True, True, f"Hello {TWO}", False),
        (False, True, "Hello", True),
        (False, True, "a < b <tool_call there", True),
        (False, True, f"Hello\n{TWO}\nand more", True),
        (False, True, f"Hello {call('sub', '{}')}", False),
        (False, True, f"Hello {call('add', '{}')}", False),
        (False, False, f"Hello {ONE}", True),
        (False, False, f"{ONE} and more", False),
        (False, False, "Hello", True),
    ],
)
def test_tool_calls(
    compiler: LLGuidanceCompiler, required: bool, parallel: bool, text: str, fits: bool
) -> None:
    calls = ToolCalls([ADD, NOW], required, parallel)
    assert accepts(compiler.compile(output_grammar(None, calls, "none")), text) is fits


def test_an_answer_or_calls(compiler: LLGuidanceCompiler) -> None:
    calls = ToolCalls([ADD], required=False, parallel=True)
    constraint = compiler.compile(output_grammar(schema(PERSON), calls, "possible"))
    assert accepts(constraint, '{"name": "A", "age": 1}')
    assert accepts(constraint, f"<think>hm</think>\n\n{ONE}")
    assert not accepts(constraint, "Hello")


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        inner = {"type": "array", "items": inner}
    return inner


HOSTILE: dict[str, StructuredOutput] = {
    "unsatisfiable": schema(False),
    "remote reference": schema({"$ref": "https://example.com/schema.json"}),
    "unknown reference": schema({"$ref": "#/$defs/nothing"}),
    "not a type": schema({"type": "nonsense"}),
    "many keys": schema({"properties": {f"k{i}": {"type": "string"} for i in range(10_000)}}),
    "many optional keys": schema({"properties": {f"k{i}": True for i in range(401)}}),
    "many values": schema({"enum": [f"v{i}" for i in range(100_000)]}),
    "long keys": schema({"properties": {"k" * 2**21: True}}),
    "deep": schema(nested(1000)),
    "many patterns": schema({"allOf": [{"pattern": f"^.*a.{{{i}}}.*$"} for i in range(200)]}),
    "nested repetition": RegexOutput(pattern="(a{1000}){1000}"),
    "long text": schema({"const": "x" * 900_000}),
    "no pattern": RegexOutput(pattern="(a/b"),
    "ends in a backslash": RegexOutput(pattern="a\\"),
    "look-ahead": RegexOutput(pattern="a(?!b)"),
    "backreference": RegexOutput(pattern="(a)\\1"),
    "look-ahead and strict": schema({"type": "string", "pattern": "a(?!b)"}, strict=True),
    "unsupported and strict": schema({"type": "array", "contains": {"const": 1}}, strict=True),
}


@pytest.mark.parametrize("structured", HOSTILE.values(), ids=HOSTILE)
def test_hostile_and_invalid_schemas_are_refused(
    compiler: LLGuidanceCompiler, structured: StructuredOutput
) -> None:
    with pytest.raises(GrammarError):
        compiler.compile(grammar(structured))


def test_many_optional_properties_are_served(compiler: LLGuidanceCompiler) -> None:
    rules = {"properties": {f"k{i}": {"type": "string"} for i in range(MAX_OPTIONAL)}}
    constraint = compiler.compile(grammar(schema({"type": "object"} | rules)))
    assert accepts(constraint, '{"k1": "a", "k80": "b", "k399": "c"}')


def test_an_error_of_a_pattern_says_what_is_wrong(compiler: LLGuidanceCompiler) -> None:
    with pytest.raises(GrammarError, match="look-around"):
        compiler.compile(grammar(RegexOutput(pattern="a(?!b)")))


def test_recursion_is_served(compiler: LLGuidanceCompiler) -> None:
    tree = {"type": "array", "items": {"$ref": "#"}}
    assert accepts(compiler.compile(grammar(schema(tree))), "[[],[[]]]")


def test_patterns_have_no_exponential_time(compiler: LLGuidanceCompiler) -> None:
    constraint = compiler.compile(grammar(RegexOutput(pattern="(a+)+b")))
    assert accepts(constraint, "a" * 500 + "b")


def test_a_grammar_that_exceeds_its_limits_is_an_error_and_no_stall(
    compiler: LLGuidanceCompiler,
) -> None:
    state = compiler.compile(grammar(RegexOutput(pattern="([a-z]{1,500}){1,500}"))).start()

    def generate() -> None:
        for _ in range(500):
            state.accept(min(allowed(state)))

    with pytest.raises(ConstraintError):
        generate()


def test_a_token_that_is_not_allowed_is_an_error(compiler: LLGuidanceCompiler) -> None:
    state = compiler.compile(grammar(JsonObjectOutput())).start()
    state.accept(ord("["))
    with pytest.raises(ConstraintError):
        allowed(state)


def test_states_are_independent(compiler: LLGuidanceCompiler) -> None:
    constraint = compiler.compile(grammar(JsonObjectOutput()))
    first, second = constraint.start(), constraint.start()
    first.accept(ord("{"))
    assert allowed(second) == {ord("{")}
    assert ord("}") in allowed(first)


def test_compiled_grammars_are_cached_within_bounds(compiler: LLGuidanceCompiler) -> None:
    first = compiler.compile(grammar(JsonObjectOutput()))
    assert compiler.compile(grammar(JsonObjectOutput())) is first
    for i in range(300):
        compiler.compile(grammar(schema({"const": i})))
    assert compiler.compile(grammar(JsonObjectOutput())) is not first


def test_a_model_needs_an_end_of_sequence_token() -> None:
    with pytest.raises(ValueError, match="end-of-sequence"):
        LLGuidanceCompiler(ByteTokenizer(), VOCAB_SIZE, ())


def test_any_end_of_sequence_token_ends_an_output() -> None:
    compiler = LLGuidanceCompiler(ByteTokenizer(), VOCAB_SIZE, (256, IM_END))
    state = compiler.compile(grammar(ChoiceOutput(choices=("a",)))).start()
    state.accept(ord("a"))
    assert allowed(state) == {256, IM_END}


def test_the_text_of_a_special_token_is_no_special_token(compiler: LLGuidanceCompiler) -> None:
    constraint = compiler.compile(grammar(RegexOutput(pattern=".*")))
    assert json.loads(json.dumps("<|im_end|>")) == "<|im_end|>"
    assert accepts(constraint, "<|im_end|>")
    assert 257 not in allowed(constraint.start())
