"""Results made readable: one HTML page, Markdown, CSV. Everything here is pure."""
