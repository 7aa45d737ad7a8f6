"""ASGI middleware: access control and error responses."""
