"""Scaling models to and from zero and by their load; their keep-alive time."""
