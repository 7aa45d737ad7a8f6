"""Loading a model: its weights, the memory for its KV pool, and what computes its steps."""
