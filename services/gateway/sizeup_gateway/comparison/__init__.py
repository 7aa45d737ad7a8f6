"""The same prompt to several models at once: their events as one stream, and the figures."""
