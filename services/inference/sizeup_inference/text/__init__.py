"""Text to tokens and back: tokenizer, detokenisation, stop strings, reasoning and tool calls."""
