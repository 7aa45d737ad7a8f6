"""Ollama's routes and their fields."""

from typing import Any

from docs.api_table.rows import MODEL, Route, honoured, ignored, refused
from sizeup_gateway.api.ollama import schema

USER = {"role": "user", "content": "hi"}
CALL: dict[str, Any] = {"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
_HARDWARE = "the operator configures the hardware"
_REMOVED = "removed from Ollama"
_ASSISTANT: dict[str, Any] = {"role": "assistant", "content": "a"}
_CONTINUED = [USER, _ASSISTANT]
_CALLING = [USER, _ASSISTANT | {"tool_calls": [CALL]}]
_RESULT = [*_CALLING, {"role": "tool", "content": "1"}]

OPTIONS = (
    honoured("options", {"seed": 42}, "unknown ones are ignored"),
    honoured(
        "options.num_ctx", 2048, "tokens of prompt and output, at most the model's; 0: its own"
    ),
    honoured("options.num_keep", 8, "first tokens of a prompt whose tokens are cut; negative: all"),
    honoured("options.num_predict", 5, "negative: until the end of the context; 0: no output"),
    honoured("options.seed", 42, "64 bits; -1: random"),
    honoured("options.temperature", 0.5, "values above 100 count as 100"),
    honoured("options.top_k", 7, "0 and below: off"),
    honoured("options.top_p", 0.6, "0: greedy"),
    honoured("options.min_p", 0.1),
    honoured("options.repeat_last_n", 33, "0: off, -1: everything"),
    honoured("options.repeat_penalty", 1.2, "at most 10"),
    honoured("options.presence_penalty", 0.3, "clamped to -10 and 10, like frequency_penalty"),
    honoured("options.frequency_penalty", 0.4),
    honoured("options.stop", ["a"], "a string or a list of at most 64"),
    honoured("options.think", True, "as `think`: LiteLLM sends it here"),
    ignored("options.typical_p", 0.7, "as in Ollama's own engine"),
    ignored("options.num_batch", 2, _HARDWARE),
    ignored("options.num_gpu", 1, _HARDWARE),
    ignored("options.main_gpu", 0, _HARDWARE),
    ignored("options.num_thread", 8, _HARDWARE),
    ignored("options.use_mmap", True, _HARDWARE),
    ignored("options.use_mlock", True, _REMOVED),
    ignored("options.draft_num_predict", 4, "the number of draft tokens follows what they save"),
    ignored("options.numa", False, _REMOVED),
    ignored("options.low_vram", True, _REMOVED),
    ignored("options.f16_kv", True, _REMOVED),
    ignored("options.logits_all", True, _REMOVED),
    ignored("options.vocab_only", True, _REMOVED),
    ignored("options.embedding_only", True, _REMOVED),
    ignored("options.tfs_z", 1.0, _REMOVED),
    ignored("options.mirostat", 2, _REMOVED),
    ignored("options.mirostat_tau", 5.0, _REMOVED),
    ignored("options.mirostat_eta", 0.1, _REMOVED),
    ignored("options.penalize_newline", True, _REMOVED),
)

COMMON = (
    honoured("model", MODEL, "a name of the catalog, in any of Ollama's spellings"),
    honoured("stream", False, "see [streams](#streams)"),
    honoured("format", {"type": "object"}, '`"json"` or a JSON schema'),
    honoured("keep_alive", 60, "seconds or a duration; negative: for ever; 0: unload afterwards"),
    honoured("think", True, "levels act as true; true is an error for a model without thinking"),
    honoured("truncate", False, "false: a prompt that is too long is an error"),
    ignored("shift", True, "output ends where the context does; a prompt that is cut leaves room"),
    honoured("logprobs", True),
    honoured("top_logprobs", 3, "0 to 20", logprobs=True),
    honoured("_debug_render_only", True, "the rendered prompt in place of a response"),
)

CHAT = (
    *COMMON,
    honoured("messages", [USER, _ASSISTANT, USER], "none: load the model, or unload it"),
    honoured("messages.role", "system", "system, user, assistant, tool"),
    honoured(
        "messages.content",
        "a",
        "the model continues text of the assistant at the end; a tool's may be any JSON value",
    ),
    honoured("messages.thinking", "hm", "the template decides", messages=_CONTINUED),
    refused("messages.images", ["aGk="], "no model reads images"),
    honoured("messages.tool_calls", [CALL], messages=_CONTINUED),
    honoured("messages.tool_calls.id", "d", messages=_CALLING),
    honoured("messages.tool_calls.function", CALL["function"], messages=_CALLING),
    honoured("messages.tool_calls.function.name", "g", messages=_CALLING),
    honoured(
        "messages.tool_calls.function.arguments",
        {"x": 2},
        "an object, or text with one; other text is kept as it is",
        messages=_CALLING,
    ),
    honoured("messages.tool_name", "f", messages=_RESULT),
    honoured("messages.tool_call_id", "c", messages=_RESULT),
    honoured("tools", [TOOL], "of type function, at most 1,024"),
    *OPTIONS,
)

GENERATE = (
    *COMMON,
    honoured("prompt", "hello", "none: load the model, or unload it"),
    honoured("suffix", "b", "for models with the capability `insert`; others: 400"),
    honoured("system", "be brief"),
    refused("template", "{{ .Prompt }}", "the model's own template is used"),
    honoured("context", [1, 2], "of an earlier response"),
    honoured("raw", True, "no template; excludes `system` and `context`"),
    refused("images", ["aGk="], "no model reads images"),
    refused("width", 512, "no model makes images"),
    refused("height", 512, "no model makes images"),
    refused("steps", 20, "no model makes images"),
    *OPTIONS,
)

_EMBED_OPTIONS = (
    honoured("options", {"num_ctx": 2048}),
    honoured("options.num_ctx", 2048, "tokens of an input, at most the model's; 0: its own"),
    *(ignored(row.name, row.example, "no effect on vectors") for row in OPTIONS[2:]),
)

EMBED = (
    honoured("model", MODEL, "any model; see [capabilities](../README.md#api)"),
    honoured(
        "input", ["a", "b"], "a string or a list of at most 2,048; empty: the model is loaded"
    ),
    honoured("truncate", False, "false: an input that exceeds the context is an error"),
    honoured("dimensions", 2, "the first ones, normalized again"),
    honoured("keep_alive", "10m"),
    *_EMBED_OPTIONS,
)

EMBEDDINGS = (
    honoured("model", MODEL),
    honoured("prompt", "other", "empty: the model is loaded"),
    honoured("keep_alive", "10m"),
    *_EMBED_OPTIONS,
)

SHOW = (
    honoured("model", MODEL),
    honoured("name", MODEL, "former name of `model`"),
    honoured(
        "verbose",
        True,
        "tensors, and the vocabulary in `model_info`, of a model that has a process",
        model=MODEL,
    ),
)

ROUTES = (
    Route("GET", "/", "the heartbeat of the `ollama` CLI"),
    Route("GET", "/api/version", "the release of Ollama whose API this is"),
    Route("GET", "/api/tags", "every model of the catalog"),
    Route("GET", "/api/ps", "every model with a process"),
    Route("POST", "/api/show", "a model", body=schema.ShowRequest, rows=SHOW),
    Route(
        "POST",
        "/api/chat",
        "a chat",
        body=schema.ChatRequest,
        base={"model": MODEL, "messages": [USER]},
        rows=CHAT,
    ),
    Route(
        "POST",
        "/api/generate",
        "a completion; in the chat template unless `raw`",
        body=schema.GenerateRequest,
        base={"model": MODEL, "prompt": "hi"},
        rows=GENERATE,
    ),
    Route("POST", "/api/compare", "[one chat with several models](compare.md)"),
    Route("POST", "/api/compare/stop", "end one answer of a comparison"),
    Route("GET", "/api/sizes", "the models by size"),
    Route("POST", "/api/pull", "[wait until a model is served](models.md)"),
    Route("POST", "/api/create", "[a model with settings of its own](models.md)"),
    Route("POST", "/api/copy", "[another name of a model](models.md)"),
    Route("DELETE", "/api/delete", "remove a created model"),
    Route("POST", "/api/push", "this server has no registry", 501),
    Route("POST", "/api/blobs/{digest}", "this server has no files of users", 501),
    Route("POST", "/api/me", "this server has no accounts", 404),
    Route("POST", "/api/signout", "this server has no accounts", 404),
    Route("DELETE", "/api/user/keys/{key}", "this server has no accounts", 404),
    Route("GET", "/api/status", "not supported", 404),
    Route("GET", "/api/experimental/{path}", "not supported", 404),
    Route("POST", "/api/experimental/{path}", "not supported", 404),
    Route(
        "POST",
        "/api/embed",
        "normalized vectors of texts",
        body=schema.EmbedRequest,
        base={"model": MODEL, "input": "hi"},
        rows=EMBED,
    ),
    Route(
        "POST",
        "/api/embeddings",
        "the vector of a text",
        body=schema.EmbeddingRequest,
        base={"model": MODEL, "prompt": "hi"},
        rows=EMBEDDINGS,
    ),
)
