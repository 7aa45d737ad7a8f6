"""Inference events as HTTP responses, streamed or whole."""
