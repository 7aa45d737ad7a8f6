"""A server of known truth: what it will do is configured, what it did is recorded."""

from sizeup_loadtest.mock.behaviour import Behaviour, Size
from sizeup_loadtest.mock.server import MockServer
from sizeup_loadtest.mock.truth import Answer, Truth

__all__ = ["Answer", "Behaviour", "MockServer", "Size", "Truth"]
