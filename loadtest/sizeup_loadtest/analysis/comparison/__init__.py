"""Comparison of models, and of runs."""
