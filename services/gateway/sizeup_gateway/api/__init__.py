"""The public HTTP routes, by dialect."""
