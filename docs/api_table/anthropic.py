"""Anthropic's routes; their fields are in docs/agents.md."""

from docs.api_table.rows import Route

ROUTES = (
    Route("POST", "/v1/messages", "[a message; its fields](agents.md)"),
    Route("POST", "/v1/messages/count_tokens", "the tokens of its prompt"),
)
