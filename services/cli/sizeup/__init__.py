"""The `sizeup` command: serve, query and download the Qwen models from a terminal."""
