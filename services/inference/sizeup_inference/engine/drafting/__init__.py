"""Speculative decoding: a small model drafts tokens, the large one computes them in one step."""
