"""The models of the catalogue, their replicas and metrics."""
