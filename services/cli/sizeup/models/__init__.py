"""The catalogue, and models on this machine."""
