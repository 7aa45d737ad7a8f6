"""Tensor parallelism: one process a GPU, each with its share of every layer's heads and weights."""
