"""A whole deployment without torch: an engine and a model that need no files."""
