"""Scaling models to and from zero, and by their load, and their keep-alive time."""
