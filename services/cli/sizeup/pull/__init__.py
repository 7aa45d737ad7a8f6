"""`sizeup pull`: console output, metrics and progress file around sizeup_store.pull."""
