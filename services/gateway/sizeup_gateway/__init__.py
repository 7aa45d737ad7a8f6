"""The gateway: Ollama's and OpenAI's API in front of the inference processes."""
