"""Which requests are constrained, and by what."""

import asyncio
from typing import Any

import pytest

from inference.engine.constraints import Only
from inference.models import INFO, model_info
from inference.scripted import chat, request, scene
from inference.text.byte_masks import begins
from sizeup_inference.engine.protocol import Constraint, EngineRequest
from sizeup_inference.errors import InvalidRequestError, UnsupportedError
from sizeup_inference.fake.model import IM_END, VOCAB_SIZE, ByteTokenizer
from sizeup_inference.requests.constraints import compile_constraint
from sizeup_inference.requests.generation import accept, prepare
from sizeup_inference.requests.resolve import resolve
from sizeup_inference.text.grammar import Grammar
from sizeup_inference.text.llguidance_compiler import LLGuidanceCompiler
from sizeup_inference.text.output_schema import GrammarError
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import ModelInfo

PLAIN = {"name": "plain", "parameters": {"type": "object", "properties": {"a": {}}}}
STRICT = {"name": "strict", "strict": True, "parameters": {"type": "object"}}
REMOTE = {"$ref": "https://example.com/schema.json"}


def tools(*functions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": function} for function in functions]


def submitted(wire: GenerateRequest, info: ModelInfo = INFO) -> EngineRequest:
    async def scenario() -> EngineRequest:
        compiler = LLGuidanceCompiler(ByteTokenizer(), VOCAB_SIZE, (IM_END,))
        async with scene(info, compiler) as stage:
            with accept(stage.model, await prepare(stage.model, wire)):
                return stage.engine.submitted[0]

    return asyncio.run(scenario())


def allows(constrained: EngineRequest, text: str) -> bool:
    """Whether an output may begin with the text."""
    assert constrained.constraint is not None
    return begins(constrained.constraint, text)


def test_the_time_of_a_compilation_is_measured() -> None:
    async def scenario() -> float | None:
        compiler = LLGuidanceCompiler(ByteTokenizer(), VOCAB_SIZE, (IM_END,))
        async with scene(INFO, compiler) as stage:
            await prepare(stage.model, request(structured_output={"kind": "json_object"}))
            name = "sizeup_inference_grammar_compilation_seconds_count"
            return stage.registry.get_sample_value(name, {"model": INFO.id})

    assert asyncio.run(scenario()) == 1


SCHEMA = {"kind": "json_schema", "json_schema": {"type": "array", "items": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("wire", "allowed", "excluded"),
    [
        (request(structured_output=SCHEMA), "[1, 2", '["a'),
        (request(structured_output={"kind": "json_object"}), '{"a"', "["),
        (request(structured_output={"kind": "regex", "pattern": "ab+"}), "abb", "ba"),
        (request(structured_output={"kind": "choice", "choices": ["on", "off"]}), "off", "ok"),
    ],
)
def test_structured_output(wire: GenerateRequest, allowed: str, excluded: str) -> None:
    constrained = submitted(wire)
    assert allows(constrained, allowed)
    assert not allows(constrained, excluded)


def call(name: str, arguments: str = "{}") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def chat_with(*functions: dict[str, Any], **fields: Any) -> GenerateRequest:
    return chat(tools=tools(*functions)).model_copy(update=fields)


def test_required_calls() -> None:
    constrained = submitted(chat_with(PLAIN, STRICT, tool_choice="required"))
    assert allows(constrained, call("plain"))
    assert allows(constrained, call("strict"))
    assert not allows(constrained, "Hello")


def test_a_named_call() -> None:
    fields = {"tool_choice": "required", "allowed_tools": ("strict",)}
    constrained = submitted(chat_with(PLAIN, STRICT, **fields))
    assert allows(constrained, call("strict"))
    assert not allows(constrained, call("plain"))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({}, False), ({"parameters": None}, False), ({"parameters": {}}, True)],
)
def test_a_function_without_parameters_has_no_arguments(
    parameters: dict[str, Any], expected: bool
) -> None:
    constrained = submitted(chat_with({"name": "f"} | parameters, tool_choice="required"))
    assert allows(constrained, call("f"))
    assert allows(constrained, call("f", '{"a": 1}')) is expected


def test_a_strict_tool_constrains_calls_and_leaves_text_free() -> None:
    constrained = submitted(chat_with(PLAIN, STRICT))
    assert allows(constrained, f"Hello {call('plain')} and {call('strict')}")
    assert not allows(constrained, call("other"))


def test_plain_tools_are_not_constrained() -> None:
    assert submitted(chat_with(PLAIN)).constraint is None
    assert submitted(request()).constraint is None


def test_required_calls_go_before_a_structured_output() -> None:
    wire = chat_with(PLAIN, tool_choice="required")
    fields = GenerateRequest.model_validate({"prompt": wire.prompt, "structured_output": SCHEMA})
    constrained = submitted(wire.model_copy(update={"structured_output": fields.structured_output}))
    assert allows(constrained, call("plain"))
    assert not allows(constrained, "[1")


def test_a_schema_that_is_not_supported_allows_any_object_unless_it_is_strict() -> None:
    function = {"name": "f", "parameters": REMOTE}
    constrained = submitted(chat_with(function, tool_choice="required"))
    assert allows(constrained, call("f", '{"a": [1]}'))
    with pytest.raises(InvalidRequestError) as raised:
        submitted(chat_with(function | {"strict": True}))
    assert raised.value.param == "prompt.tools"


class CountingCompiler:
    """Counts grammars, each of which takes 3 s to be refused if any tool is `slow`."""

    def __init__(self) -> None:
        self.compiled = 0

    def compile(self, grammar: Grammar) -> Constraint:
        self.compiled += 1
        if "slow" in grammar.to_json():
            raise GrammarError("too slow")
        return Only((), VOCAB_SIZE)

    def clock(self) -> float:
        return 3.0 * self.compiled


def compiled(compiler: CountingCompiler, *functions: dict[str, Any]) -> None:
    resolved = resolve(chat_with(*functions, tool_choice="required"), INFO)
    compile_constraint(compiler, resolved, "none", compiler.clock)


def test_tools_that_are_supported_are_compiled_at_once() -> None:
    compiler = CountingCompiler()
    compiled(compiler, *(PLAIN | {"name": f"f{i}"} for i in range(100)))
    assert compiler.compiled == 1


def test_tools_that_take_long_are_bounded_together() -> None:
    slow = {"name": "f", "parameters": {"type": "object", "title": "slow"}}
    compiled(CountingCompiler(), slow)
    compiler = CountingCompiler()
    with pytest.raises(InvalidRequestError) as raised:
        compiled(compiler, *(slow | {"name": f"f{i}"} for i in range(100)))
    assert raised.value.param == "prompt.tools"
    assert compiler.compiled < 5


def test_an_invalid_schema_names_its_field() -> None:
    wire = request(structured_output={"kind": "json_schema", "json_schema": REMOTE})
    with pytest.raises(InvalidRequestError) as raised:
        submitted(wire)
    assert raised.value.param == "structured_output"


@pytest.mark.parametrize(
    ("thinking", "expected"), [("on", True), (None, True), ("if_supported", True), ("off", False)]
)
def test_reasoning_comes_first_unless_it_is_off(thinking: str | None, expected: bool) -> None:
    info = model_info(capabilities=("completion", "thinking"))
    wire = chat(thinking=thinking)
    structured = request(structured_output=SCHEMA).structured_output
    constrained = submitted(wire.model_copy(update={"structured_output": structured}), info)
    assert allows(constrained, "<think>\nhm {\n</think>\n\n[1]") is expected
    assert allows(constrained, "[1]")


def test_the_constraint_alone_decides_where_the_output_ends() -> None:
    wire = request(structured_output=SCHEMA, min_tokens=5, ignore_eos=True)
    constrained = submitted(wire)
    assert constrained.min_tokens == 0
    assert IM_END in constrained.stop_token_ids


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        (chat(), "tool_choice"),
        (request(), "tool_choice"),
    ],
)
def test_required_calls_need_tools(wire: GenerateRequest, param: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        submitted(wire.model_copy(update={"tool_choice": "required"}))
    assert raised.value.param == param


def test_an_allowed_tool_has_to_be_there() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        submitted(chat_with(PLAIN, allowed_tools=("other",)))
    assert raised.value.param == "allowed_tools"


def test_an_engine_without_constraints_says_so() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            with pytest.raises(UnsupportedError):
                await prepare(stage.model, request(structured_output=SCHEMA))

    asyncio.run(scenario())
