"""The catalog, and models on this machine."""
