"""The catalogue's models, their replicas and their metrics."""
