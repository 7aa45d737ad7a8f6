"""Scaling models from and to zero, and their keep-alive time."""
