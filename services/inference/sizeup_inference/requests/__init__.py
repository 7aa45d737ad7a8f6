"""Requests on the event loop, from the wire request to the last wire event."""
