"""The public door of sizeup: Ollama and OpenAI on one port. No torch, no transformers."""
