"""One request on the event loop, from wire request to wire events."""
