"""Request metrics and the request log."""
