"""Text to tokens and back: tokenizer, detokenization, stop strings, reasoning and tool calls."""
