"""Metrics of a stage from its records."""
