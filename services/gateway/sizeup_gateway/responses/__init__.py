"""Events to bytes: streams and complete responses."""
