"""The public HTTP API: one package per dialect, and what they share."""
