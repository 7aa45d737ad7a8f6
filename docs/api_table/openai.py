"""OpenAI's routes and their fields, with extensions of vLLM, llama.cpp, OpenRouter and others."""

from typing import Any

from docs.api_table.rows import MODEL, Route, honoured, ignored, refused
from sizeup_gateway.api.openai import schema

USER = {"role": "user", "content": "hi"}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
CALL: dict[str, Any] = {
    "id": "c",
    "type": "function",
    "function": {"name": "f", "arguments": '{"x": 1}'},
}
SCHEMA = {"type": "object"}
_ASSISTANT: dict[str, Any] = {"role": "assistant", "content": "a"}
_CONTINUED = [USER, _ASSISTANT]
_CALLING = [USER, _ASSISTANT | {"tool_calls": [CALL]}]
_LEGACY = [USER, _ASSISTANT | {"function_call": CALL["function"]}]
_RESULT = [*_CALLING, {"role": "tool", "content": "1"}]
_ONE_TIER = "there is one tier"
_AUTOMATIC = "the prefix cache needs no options"
_NO_GRAMMARS = "use a JSON schema or a regex"
_SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
_OBJECT_FORMAT = {"type": "json_object"}

OUTPUT = (
    honoured("response_format", _OBJECT_FORMAT, "one form of structured output at a time"),
    honoured("response_format.type", "json_object", "text, json_object, json_schema"),
    honoured(
        "response_format.json_schema",
        _SCHEMA_FORMAT["json_schema"],
        response_format=_SCHEMA_FORMAT,
    ),
    honoured("response_format.json_schema.schema", SCHEMA, response_format=_SCHEMA_FORMAT),
    honoured(
        "response_format.json_schema.strict",
        True,
        "keywords without effect are errors",
        response_format=_SCHEMA_FORMAT,
    ),
    ignored("response_format.json_schema.name", "n", "for people", response_format=_SCHEMA_FORMAT),
    ignored(
        "response_format.json_schema.description",
        "d",
        "for people",
        response_format=_SCHEMA_FORMAT,
    ),
    honoured("response_format.schema", SCHEMA, "as in llama.cpp", response_format=_OBJECT_FORMAT),
    honoured("structured_outputs", {"regex": "a+"}, "of vLLM"),
    honoured("structured_outputs.json", SCHEMA),
    honoured("structured_outputs.json_object", True),
    honoured("structured_outputs.regex", "a+"),
    honoured("structured_outputs.choice", ["a", "b"]),
    refused("structured_outputs.grammar", "root ::= x", _NO_GRAMMARS),
    refused("structured_outputs.structural_tag", "{}", _NO_GRAMMARS),
    honoured("guided_json", SCHEMA, "former name of structured_outputs.json"),
    honoured("guided_regex", "a+"),
    honoured("guided_choice", ["a", "b"]),
    refused("guided_grammar", "root ::= x", _NO_GRAMMARS),
)

SAMPLING = (
    honoured("model", MODEL, "a name of the catalog, in any spelling"),
    honoured("stream", True),
    honoured("stream_options", {"include_usage": True}, "an error without `stream`", stream=True),
    honoured("stream_options.include_usage", True, stream=True),
    ignored("stream_options.include_obfuscation", True, "no chunk has one", stream=True),
    honoured("temperature", 0.5, "0 to 2"),
    honoured("top_p", 0.6, "0: greedy"),
    honoured("top_k", 7, "0 and -1: off"),
    honoured("min_p", 0.1),
    honoured("presence_penalty", 0.3, "-2 to 2"),
    honoured("frequency_penalty", 0.4, "-2 to 2"),
    honoured("repetition_penalty", 1.2, "of vLLM; over prompt and output"),
    honoured("repeat_penalty", 1.2, "llama.cpp's name of it"),
    honoured("logit_bias", {"5": -100}, "at most 1,024 tokens"),
    honoured("seed", 42, "64 bits, negative too"),
    honoured("n", 2, "at most 16"),
    honoured(
        "max_tokens", 5, "output ends where the context does in any case; 0: 400, without `echo`"
    ),
    honoured("min_tokens", 2),
    honoured("stop", ["a"], "a string or a list of at most 64"),
    honoured("stop_token_ids", [3]),
    honoured("ignore_eos", True),
    refused("prompt_logprobs", 1, "of vLLM; `echo` with `logprobs` has them"),
    honoured("options", {"num_ctx": 2048}),
    honoured("options.num_ctx", 2048, "of Ollama; its other options are ignored here"),
    ignored("user", "u-1", "the API key identifies a client"),
    *OUTPUT,
)

REASONING = (
    honoured(
        "chat_template_kwargs",
        {"enable_thinking": False},
        "of vLLM; the first of these that is set decides; all are hints, and levels act as on",
    ),
    honoured("chat_template_kwargs.enable_thinking", False),
    honoured(
        "chat_template_kwargs.thinking",
        False,
        "other arguments are ignored: they could replace the messages or add control tokens",
    ),
    honoured("enable_thinking", False, "of Qwen's API"),
    honoured("think", False, "of Ollama: true, false, low, medium, high, max"),
    honoured("thinking", {"type": "disabled"}, "of DeepSeek's API; a budget is ignored"),
    honoured("thinking.type", "disabled", "enabled, disabled, adaptive"),
    honoured("reasoning", {"effort": "none"}, "of OpenRouter"),
    honoured("reasoning.enabled", False),
    honoured("reasoning.effort", "none", "as reasoning_effort"),
    honoured("reasoning.max_tokens", 2000, "turns it on; the budget itself is ignored"),
    honoured("reasoning.exclude", True, "as include_reasoning false"),
    honoured("reasoning_effort", "none", "none, minimal, low, medium, high, xhigh, max"),
    honoured("include_reasoning", False, "reasons, but does not return it"),
)

PLATFORM = (
    ignored("metadata", {"a": "b"}, "nothing is stored"),
    ignored("store", True, "nothing is stored"),
    ignored("service_tier", "flex", _ONE_TIER),
    ignored("safety_identifier", "s", "the API key identifies a client"),
    ignored("prompt_cache_key", "k", _AUTOMATIC),
    ignored("prompt_cache_retention", "24h", _AUTOMATIC),
    ignored("prompt_cache_options", {"mode": "implicit"}, _AUTOMATIC),
    ignored("verbosity", "low", "a hint; the models know no such switch"),
    ignored("prediction", {"type": "content", "content": "x"}, "changes the speed only"),
    ignored("modalities", ["text"], "text is the only one; audio is refused"),
    refused("audio", {"voice": "alloy", "format": "wav"}, "no model speaks"),
    refused("web_search_options", {}, "there is no web search"),
    refused("moderation", {"model": "omni-moderation-latest"}, "there is no moderation"),
)

MESSAGES = (
    honoured("messages", [USER, _ASSISTANT, USER], "at most 4,096"),
    honoured(
        "messages.role",
        "system",
        "system, developer (as system), user, assistant, tool, function (as tool)",
    ),
    honoured(
        "messages.content",
        "a",
        "text or parts of text; a tool's may be any JSON value; other parts are refused",
    ),
    honoured("messages.refusal", "no", "in place of content", messages=[{"role": "assistant"}]),
    honoured("messages.reasoning_content", "hm", "the template decides", messages=_CONTINUED),
    honoured("messages.reasoning", "hm", "other name of it", messages=_CONTINUED),
    honoured("messages.thinking", "hm", "other name of it", messages=_CONTINUED),
    honoured("messages.name", "f", messages=_RESULT),
    honoured("messages.tool_calls", [CALL], messages=_CONTINUED),
    honoured("messages.tool_calls.id", "d", messages=_CALLING),
    honoured("messages.tool_calls.function", CALL["function"], messages=_CALLING),
    honoured("messages.tool_calls.function.name", "g", messages=_CALLING),
    honoured(
        "messages.tool_calls.function.arguments",
        '{"x": 2}',
        "text with an object, or the object; other text is kept as it is",
        messages=_CALLING,
    ),
    honoured("messages.tool_call_id", "c", messages=_RESULT),
    honoured(
        "messages.function_call",
        CALL["function"],
        "predecessor of tool_calls",
        messages=_CONTINUED,
    ),
    honoured("messages.function_call.name", "g", messages=_LEGACY),
    honoured("messages.function_call.arguments", '{"x": 2}', messages=_LEGACY),
    refused("messages.audio", {"id": "a"}, "nothing is stored", messages=_CONTINUED),
)

CHAT = (
    *SAMPLING,
    *MESSAGES,
    honoured("max_completion_tokens", 5, "takes precedence over max_tokens"),
    honoured("logprobs", True),
    honoured("top_logprobs", 3, "0 to 20", logprobs=True),
    honoured("tools", [TOOL], "of type function, at most 1,024; custom tools are refused"),
    honoured(
        "tool_choice", "required", "none, auto, required, a function, allowed_tools", tools=[TOOL]
    ),
    honoured("parallel_tool_calls", False, tools=[TOOL]),
    honoured("functions", [FUNCTION], "predecessor of tools"),
    honoured("function_call", {"name": "f"}, "predecessor of tool_choice", functions=[FUNCTION]),
    honoured("continue_final_message", True, "of vLLM", messages=_CONTINUED),
    honoured("add_generation_prompt", False, "of vLLM", messages=_CONTINUED),
    *REASONING,
    *PLATFORM,
)

COMPLETIONS = (
    *SAMPLING,
    honoured("prompt", "hello", "a text, token ids, or a list of at most 128 of either"),
    honoured("suffix", "b", "for models with the capability `insert`; others: 400"),
    honoured("best_of", 2, "at most 16; more than `n`, not in a stream"),
    honoured("echo", True),
    honoured("logprobs", 3, "0 to 5"),
)

EMBEDDINGS = (
    honoured("model", MODEL),
    honoured("input", ["a", "b"], "texts or token ids, one or at most 2,048; none is empty"),
    honoured("encoding_format", "base64", "float, or base64 of float32, little-endian"),
    honoured("dimensions", 2, "the first ones, normalized again"),
    ignored("user", "x", "nothing is stored"),
)

ROUTES = (
    Route("GET", "/v1/models", "every model of the catalog"),
    Route("GET", "/v1/models/{id}", "a model"),
    Route(
        "POST",
        "/v1/chat/completions",
        "a chat",
        body=schema.ChatCompletionRequest,
        base={"model": MODEL, "messages": [USER]},
        rows=CHAT,
    ),
    Route(
        "POST",
        "/v1/completions",
        "completions, without a template",
        body=schema.CompletionRequest,
        base={"model": MODEL, "prompt": "hi"},
        rows=COMPLETIONS,
    ),
    Route("POST", "/v1/compare", "[one chat with several models](compare.md)"),
    Route("GET", "/v1/chat/completions", "nothing is stored", 501),
    Route("GET", "/v1/chat/completions/{id}", "nothing is stored", 501),
    Route("POST", "/v1/chat/completions/{id}", "nothing is stored", 501),
    Route("DELETE", "/v1/chat/completions/{id}", "nothing is stored", 501),
    Route("GET", "/v1/chat/completions/{id}/messages", "nothing is stored", 501),
    Route(
        "POST",
        "/v1/embeddings",
        "normalized vectors of texts",
        body=schema.CreateEmbeddingRequest,
        base={"model": MODEL, "input": "hi"},
        rows=EMBEDDINGS,
    ),
    Route("POST", "/v1/responses", "[a response; its fields](agents.md)"),
    Route("POST", "/v1/responses/input_tokens", "the tokens of its prompt"),
    Route("GET", "/v1/responses/{id}", "nothing is stored", 404),
    Route("DELETE", "/v1/responses/{id}", "nothing is stored", 404),
    Route("POST", "/v1/responses/{id}/cancel", "nothing is stored", 404),
    Route("GET", "/v1/responses/{id}/input_items", "nothing is stored", 404),
)
