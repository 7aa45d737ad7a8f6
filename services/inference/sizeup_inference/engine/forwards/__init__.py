"""Forward passes through the modules of transformers."""
