"""Download a model from the Hugging Face hub or a mirror, and trust nothing that is not checked."""
