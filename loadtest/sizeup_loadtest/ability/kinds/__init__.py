"""Generated questions, one module per kind."""
