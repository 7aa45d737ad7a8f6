"""Weight-only quantization: weights of 8 or 4 bits, activations in the model's dtype."""
