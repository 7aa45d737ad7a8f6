"""OpenAI's Responses API, without its storage: a request has the whole conversation."""
