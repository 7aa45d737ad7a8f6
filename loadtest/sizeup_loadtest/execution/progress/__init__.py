"""Progress of a run on the terminal, and its duration."""
