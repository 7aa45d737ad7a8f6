"""The `sizeup` command: run, ask and compare the Qwen sizes from a terminal."""
