"""OpenTelemetry traces: off, and without the SDK, unless OTEL_* variables enable them."""
