"""The internal HTTP API: routes, streaming, health."""
