"""`sizeup up`: the gateway and one inference process per model, as child processes."""
