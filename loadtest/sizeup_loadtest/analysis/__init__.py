"""Records -> results, comparisons and verdicts. Pure."""
