"""Text to tokens and back: tokenizer, detokenizing, stop strings, reasoning and tool calls."""
