"""One HTTP request in OpenAI's or Ollama's format, timed."""
