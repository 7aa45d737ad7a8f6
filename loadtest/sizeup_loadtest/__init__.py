"""The load test that compares sizes: speaks public HTTP only."""
