"""Inference processes: where they are, whether they are ready, and HTTP to them."""
