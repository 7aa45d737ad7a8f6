"""Inference processes: addresses, readiness probes and the HTTP client."""
