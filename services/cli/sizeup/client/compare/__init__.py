"""`sizeup compare`: the same prompt to every size."""
