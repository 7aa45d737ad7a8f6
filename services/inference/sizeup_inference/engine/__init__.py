"""Continuous batching over transformers models. Imports torch, transformers and accelerate only."""
