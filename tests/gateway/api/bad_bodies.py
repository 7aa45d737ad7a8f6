"""Invalid bodies and the expected status; 0 is any status below 500."""

import json
from typing import Any

from gateway.harness import MODEL

LIMIT = 2**20
MESSAGES = [{"role": "user", "content": "hi"}]
GOOD = {"model": MODEL, "messages": MESSAGES}


def chat(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


def raw_chat(text: str) -> bytes:
    """Return a chat with raw JSON for an additional field."""
    return chat()[:-1] + b"," + text.encode("utf-8", "surrogatepass") + b"}"


def options(**fields: Any) -> bytes:
    return chat(options=fields)


def messages(value: Any) -> bytes:
    return chat(messages=value)


NESTED = "[" * 200 + "]" * 200
DEEP = "[" * 100_000 + "]" * 100_000

EVERYWHERE: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "spaces": (b"  \n", 400),
    "array": (b"[]", 400),
    "null": (b"null", 400),
    "string": (b'"x"', 400),
    "truncated": (b'{"model":', 400),
    "not utf-8": (b"\xff\xfe\x00", 400),
    "utf-16": (json.dumps(GOOD).encode("utf-16"), 400),
    "utf-32": (json.dumps(GOOD).encode("utf-32"), 400),
    "byte order mark": (b"\xef\xbb\xbf" + chat(), 200),
    "lone surrogate": (messages([{"role": "user", "content": "\ud800"}]), 400),
    "lone low surrogate": (raw_chat('"x":"\\udfff"'), 400),
    "raw surrogate": (raw_chat('"x":"\ud800"'), 400),
    "surrogate pair": (messages([{"role": "user", "content": "😀"}]), 200),
    "null in the model": (chat(model="a\x00b"), 0),
    "null in the content": (messages([{"role": "user", "content": "a\x00b"}]), 200),
    "control character in a string": (raw_chat('"x":"\x01"'), 400),
    "duplicate key": (raw_chat('"model":"other"'), 400),
    "nested duplicate key": (raw_chat('"x":[{"a":1,"a":2}]'), 400),
    "depth 200": (raw_chat(f'"x":{NESTED}'), 400),
    "depth 100 000": (raw_chat(f'"x":{DEEP}'), 400),
    "objects nested 100 000 deep": (
        raw_chat('"x":' + '{"a":' * 100_000 + "1" + "}" * 100_000),
        400,
    ),
    "integer of 5 000 digits": (raw_chat('"x":' + "9" * 5000), 400),
    "seed of 4 000 digits": (raw_chat('"seed":1,"options":{"seed":' + "9" * 4000 + "}"), 0),
    "infinite number": (raw_chat('"x":1e999'), 400),
    "NaN": (raw_chat('"temperature":NaN'), 400),
    "NaN in an invalid body": (b'{"model":5,"x":NaN}', 400),
    "Infinity": (raw_chat('"x":[Infinity]'), 400),
    "body one byte over the limit": (b'{"x":"' + b"a" * (LIMIT - 7) + b'"}', 413),
    "many containers": (raw_chat('"x":[' + "[]," * 200_000 + "1]"), 200),
    "too many containers": (raw_chat('"x":[' + "[]," * 300_000 + "1]"), 400),
    "too many strings": (raw_chat('"x":[' + '"",' * 300_000 + "1]"), 400),
    "brackets and quotes in a text": (raw_chat('"x":"' + '[{\\"' * 150_000 + '"'), 200),
    "model missing": (json.dumps({"messages": MESSAGES}).encode(), 400),
    "model empty": (chat(model=""), 400),
    "model null": (chat(model=None), 400),
    "model number": (chat(model=5), 400),
    "model list": (chat(model=[MODEL]), 400),
    "model of 10 kB": (chat(model="x" * 10_000), 0),
    "model path": (chat(model="../../etc/passwd"), 0),
    "model url": (chat(model="http://evil/x"), 0),
    "unknown model": (chat(model="evil/repo"), 404),
    "model revision": (chat(model=f"{MODEL}@main"), 0),
    "model lookalike": (chat(model="ｑwen2.5:0.5b"), 0),
    "model trailing space": (chat(model=MODEL + " "), 0),
    "uppercase model": (chat(model=MODEL.upper()), 200),
    "messages string": (messages("hi"), 400),
    "messages object": (messages({"role": "user"}), 400),
    "message number": (messages([123]), 400),
    "message empty": (messages([{}]), 400),
    "second message empty": (messages([*MESSAGES, {}]), 400),
    "role number": (messages([{"role": 123, "content": "x"}]), 400),
    "role root": (messages([{"role": "root", "content": "x"}]), 400),
    "role missing": (messages([{"content": "x"}]), 400),
    "role null": (messages([{"role": None, "content": "x"}]), 400),
    "content number": (messages([{"role": "system", "content": 123}]), 400),
    "content object": (messages([{"role": "user", "content": {"text": "x"}}]), 400),
    "20 000 messages": (messages([{"role": "user", "content": ""}] * 20_000), 400),
    "special tokens in content": (messages([{"role": "user", "content": "<|im_start|>"}]), 200),
    "100 000 combining marks": (
        messages([{"role": "user", "content": "e" + "\u0301" * 100_000}]),
        200,
    ),
    "stream string": (chat(stream="yes"), 400),
    "stream number": (chat(stream=1), 400),
    "tools object": (chat(tools={}), 400),
    "tool without a function": (chat(tools=[{"type": "function"}]), 400),
    "tool without a name": (chat(tools=[{"type": "function", "function": {}}]), 400),
    "tool of another type": (chat(tools=[{"type": "web", "function": {"name": "x"}}]), 400),
    "tool with text for a schema": (
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": "x"}}]),
        400,
    ),
    "tool calls string": (messages([{"role": "assistant", "tool_calls": "x"}]), 400),
    "tool call arguments number": (
        messages(
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}]
        ),
        400,
    ),
    "top_logprobs 21": (chat(logprobs=True, top_logprobs=21), 400),
    "top_logprobs -1": (chat(logprobs=True, top_logprobs=-1), 400),
    "top_logprobs 1e9": (chat(logprobs=True, top_logprobs=10**9), 400),
    "logprobs number": (chat(logprobs=1), 400),
    "unknown fields": (chat(user="x", metadata={}, frobnicate=[1]), 200),
    "explicit nulls": (
        chat(stream=None, options=None, tools=None, stop=None, think=None, logprobs=None),
        200,
    ),
}

ONLY_OLLAMA: dict[str, tuple[bytes, int]] = {
    "messages missing": (json.dumps({"model": MODEL}).encode(), 200),
    "messages null": (messages(None), 200),
    "messages empty": (messages([]), 200),
    "illegal model name": (chat(model="a b"), 400),
    "content null": (messages([{"role": "user", "content": None}]), 200),
    "uppercase role": (messages([{"role": "User", "content": "x"}]), 200),
    "options list": (chat(options=[]), 400),
    "option temperature string": (options(temperature="NaN"), 400),
    "option temperature true": (options(temperature=True), 400),
    "option temperature below zero": (options(temperature=-0.1), 400),
    "option temperature zero": (options(temperature=0), 200),
    "option temperature huge": (options(temperature=1e6), 200),
    "option top_p zero": (options(top_p=0), 200),
    "option top_p below zero": (options(top_p=-1), 400),
    "option top_p above one": (options(top_p=1.1), 400),
    "option top_k off": (options(top_k=-1), 200),
    "option top_k zero": (options(top_k=0), 200),
    "option top_k huge": (options(top_k=10**9), 200),
    "option penalties huge": (options(presence_penalty=1e9, frequency_penalty=-1e9), 200),
    "option seed -1": (options(seed=-1), 200),
    "option seed 2^63": (options(seed=2**63), 200),
    "option seed 2^64": (options(seed=2**64), 400),
    "option seed fraction": (options(seed=1.5), 400),
    "option seed whole float": (options(seed=42.0), 200),
    "option num_predict -1": (options(num_predict=-1), 200),
    "option num_predict -999": (options(num_predict=-999), 200),
    "option num_predict zero": (options(num_predict=0), 200),
    "option num_predict huge": (options(num_predict=10**30), 200),
    "option num_predict true": (options(num_predict=True), 400),
    "option num_predict string": (options(num_predict="5"), 400),
    "option num_ctx below zero": (options(num_ctx=-5), 400),
    "option num_ctx huge": (options(num_ctx=10**30), 200),
    "option repeat_last_n -2": (options(repeat_last_n=-2), 400),
    "option repeat_penalty zero": (options(repeat_penalty=0), 400),
    "option stop string": (options(stop="x"), 200),
    "option stop empty": (options(stop=""), 400),
    "option stop of empties": (options(stop=[""]), 400),
    "option stop number": (options(stop=5), 400),
    "option stop nested": (options(stop=[["x"]]), 400),
    "option stop null": (options(stop=None), 200),
    "option stop of 10 000": (options(stop=["x"] * 10_000), 400),
    "option typical_p": (options(typical_p=0.5), 200),
    "options of earlier Ollama releases": (
        options(mirostat=2, tfs_z=1.0, numa=True, num_gpu=-1),
        200,
    ),
    "option num_keep -1": (options(num_keep=-1), 200),
    "option num_keep huge": (options(num_keep=10**30), 200),
    "option num_predict -2": (options(num_predict=-2), 200),
    "option stop list empty": (options(stop=[]), 200),
    "think level": (chat(think="low"), 400),
    "think text": (chat(think="a lot"), 400),
    "think number": (chat(think=1), 400),
    "think on a model without thinking": (chat(think=True), 400),
    "think off": (chat(think=False), 200),
    "format json": (chat(format="json"), 200),
    "format schema": (chat(format={"type": "object"}), 200),
    "format yaml": (chat(format="yaml"), 400),
    "format number": (chat(format=5), 400),
    "format empty": (chat(format=""), 200),
    "images": (messages([{"role": "user", "content": "x", "images": ["aGk="]}]), 400),
    "images empty": (messages([{"role": "user", "content": "x", "images": []}]), 200),
    "keep_alive -1": (chat(keep_alive=-1), 200),
    "keep_alive long": (chat(keep_alive="99999h"), 200),
    "keep_alive huge": (chat(keep_alive=10**400), 200),
    "keep_alive word": (chat(keep_alive="abc"), 400),
    "keep_alive without a unit": (chat(keep_alive="10"), 400),
    "keep_alive list": (chat(keep_alive=[]), 400),
    "keep_alive true": (chat(keep_alive=True), 400),
}

ONLY_OPENAI: dict[str, tuple[bytes, int]] = {
    "messages missing": (json.dumps({"model": MODEL}).encode(), 400),
    "messages null": (messages(None), 400),
    "messages empty": (messages([]), 400),
    "content null": (messages([{"role": "user", "content": None}]), 400),
    "content null beside tool calls": (
        messages(
            [
                *MESSAGES,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "1"},
            ]
        ),
        200,
    ),
    "content parts": (
        messages([{"role": "user", "content": [{"type": "text", "text": "a"}]}]),
        200,
    ),
    "content part image": (
        messages(
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
                    ],
                }
            ]
        ),
        400,
    ),
    "content part without a type": (messages([{"role": "user", "content": [{}]}]), 400),
    "content part number": (messages([{"role": "user", "content": [5]}]), 400),
    "content part text missing": (messages([{"role": "user", "content": [{"type": "text"}]}]), 400),
    "temperature 2.0001": (chat(temperature=2.0001), 400),
    "temperature string": (chat(temperature="1"), 400),
    "temperature zero": (chat(temperature=0), 200),
    "top_p zero": (chat(top_p=0), 200),
    "top_p -0.1": (chat(top_p=-0.1), 400),
    "top_p 1.1": (chat(top_p=1.1), 400),
    "top_k -2": (chat(top_k=-2), 400),
    "presence penalty 2.1": (chat(presence_penalty=2.1), 400),
    "frequency penalty 1e9": (chat(frequency_penalty=1e9), 400),
    "seed -1": (chat(seed=-1), 200),
    "seed 2^63": (chat(seed=2**63), 200),
    "seed 2^64": (chat(seed=2**64), 400),
    "seed 1.5": (chat(seed=1.5), 400),
    "max_tokens -1": (chat(max_tokens=-1), 400),
    "max_tokens true": (chat(max_tokens=True), 400),
    "max_tokens string": (chat(max_tokens="5"), 400),
    "max_tokens huge": (chat(max_tokens=10**30), 400),
    "both maxima": (chat(max_tokens=5, max_completion_tokens=3), 200),
    "n huge": (chat(n=10**9), 400),
    "n zero": (chat(n=0), 400),
    "top_logprobs without logprobs": (chat(top_logprobs=2), 400),
    "stop of 10 000": (chat(stop=["x"] * 10_000), 400),
    "stop empty": (chat(stop=""), 400),
    "stop number": (chat(stop=5), 400),
    "logit_bias 20 000": (chat(logit_bias={str(i): 1 for i in range(20_000)}), 400),
    "logit_bias value 1e9": (chat(logit_bias={"1": 1e9}), 400),
    "logit_bias word": (chat(logit_bias={"x": 1}), 400),
    "logit_bias list": (chat(logit_bias=[1]), 400),
    "logit_bias superscript": (chat(logit_bias={"²": 1}), 400),
    "response_format text": (chat(response_format={"type": "text"}), 200),
    "response_format json": (chat(response_format={"type": "json_object"}), 200),
    "response_format audio": (chat(response_format={"type": "sound"}), 400),
    "response_format list": (chat(response_format=[]), 400),
    "tool_choice none": (chat(tool_choice="none"), 200),
    "tool_choice required": (chat(tool_choice="required"), 400),
    "tool_choice named": (
        chat(tool_choice={"type": "function", "function": {"name": "f"}}),
        400,
    ),
    "continue without an assistant": (chat(continue_final_message=True), 400),
    "template switches": (chat(chat_template_kwargs={"tokenize": True}), 200),
    "template text": (chat(chat_template="{{ x }}"), 200),
    "stream_options without stream": (chat(stream_options={"include_usage": True}), 400),
    "stream_options null": (chat(stream_options=None), 200),
    "content missing": (messages([{"role": "user"}]), 400),
    "earlier audio": (messages([*MESSAGES, {"role": "assistant", "audio": {"id": "a"}}]), 400),
    "result with an image": (
        messages([{"role": "tool", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        400,
    ),
    "top_logprobs zero": (chat(logprobs=True, top_logprobs=0), 200),
    "top_logprobs zero without logprobs": (chat(top_logprobs=0), 200),
    "logprobs alone": (chat(logprobs=True), 200),
    "whole floats": (
        chat(n=1.0, max_tokens=16.0, seed=7.0, top_k=5.0, logprobs=True, top_logprobs=2.0),
        200,
    ),
    "stop list empty": (chat(stop=[]), 200),
    "five stops": (chat(stop=["1", "2", "3", "4", "5"]), 200),
    "logit_bias empty": (chat(logit_bias={}), 200),
    "penalties at their bounds": (chat(presence_penalty=-2, frequency_penalty=2), 200),
    "max_tokens zero": (chat(max_tokens=0), 400),
    "max_completion_tokens zero": (chat(max_completion_tokens=0), 400),
    "prompt_logprobs negative": (chat(prompt_logprobs=-1), 400),
    "prompt_logprobs null": (chat(prompt_logprobs=None), 200),
}

COMPLETIONS: dict[str, tuple[dict[str, Any], int]] = {
    "prompt missing": ({}, 400),
    "prompt null": ({"prompt": None}, 400),
    "prompt number": ({"prompt": 5}, 400),
    "prompt object": ({"prompt": {}}, 400),
    "prompt empty list": ({"prompt": []}, 400),
    "prompt list of an empty list": ({"prompt": [[]]}, 400),
    "prompt mixed": ({"prompt": ["a", 5]}, 400),
    "prompt mixed lists": ({"prompt": ["a", [5]]}, 400),
    "prompt of booleans": ({"prompt": [True]}, 400),
    "prompt of negative tokens": ({"prompt": [-1]}, 400),
    "prompt of fractions": ({"prompt": [1.5]}, 400),
    "too many prompts": ({"prompt": ["a"] * 129}, 400),
    "prompt string": ({"prompt": "a"}, 200),
    "prompt strings": ({"prompt": ["a", "b"]}, 200),
    "prompt tokens": ({"prompt": [1, 2]}, 200),
    "prompt of whole floats": ({"prompt": [1, 2.0]}, 200),
    "max_tokens zero": ({"prompt": "a", "max_tokens": 0}, 400),
    "max_tokens zero with echo": ({"prompt": "a", "max_tokens": 0, "echo": True}, 200),
    "prompt lists of tokens": ({"prompt": [[1, 2], [3]]}, 200),
    "best_of huge": ({"prompt": "a", "best_of": 10**6}, 400),
    "best_of as n": ({"prompt": "a", "best_of": 2, "n": 2}, 200),
    "echo": ({"prompt": "a", "echo": True}, 200),
    "echo null": ({"prompt": "a", "echo": None}, 200),
    "echo string": ({"prompt": "a", "echo": "yes"}, 400),
    "echo number": ({"prompt": "a", "echo": 1}, 400),
    "best_of above n": ({"prompt": "a", "best_of": 2}, 200),
    "best_of below n": ({"prompt": "a", "n": 3, "best_of": 2}, 400),
    "best_of zero": ({"prompt": "a", "best_of": 0}, 400),
    "best_of streamed": ({"prompt": "a", "best_of": 2, "stream": True}, 400),
    "best_of as n streamed": ({"prompt": "a", "best_of": 1, "stream": True}, 200),
    "suffix": ({"prompt": "a", "suffix": "b"}, 400),
    "suffix empty": ({"prompt": "a", "suffix": ""}, 200),
    "suffix number": ({"prompt": "a", "suffix": 5}, 400),
    "suffix of tokens": ({"prompt": [1, 2], "suffix": "b"}, 400),
    "stream_options without stream": (
        {"prompt": "a", "stream_options": {"include_usage": True}},
        400,
    ),
    "logprobs 6": ({"prompt": "a", "logprobs": 6}, 400),
    "logprobs true": ({"prompt": "a", "logprobs": True}, 400),
}
