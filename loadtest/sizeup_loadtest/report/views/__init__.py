"""Results -> the sections of the page. Pure."""
