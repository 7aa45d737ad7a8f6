"""The load test: compares the sizes of a model over public HTTP."""
