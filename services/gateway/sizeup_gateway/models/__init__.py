"""The models of the catalog, their replicas and metrics."""
