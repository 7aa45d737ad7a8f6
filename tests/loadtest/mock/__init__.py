"""A server of known truth: what it will do is configured, what it did is recorded."""

from loadtest.mock.behaviour import Behaviour, Size
from loadtest.mock.server import MockServer
from loadtest.mock.truth import Answer, Truth

__all__ = ["Answer", "Behaviour", "MockServer", "Size", "Truth"]
