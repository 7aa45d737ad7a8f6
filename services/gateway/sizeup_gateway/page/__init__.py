"""The compare page: one question to every size, in a browser."""
