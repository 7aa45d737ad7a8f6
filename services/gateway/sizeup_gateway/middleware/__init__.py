"""ASGI middleware: access control, rate limits and error responses."""
