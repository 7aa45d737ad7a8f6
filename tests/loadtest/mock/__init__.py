"""A server of known truth: what it will do is configured, what it did is recorded."""

from loadtest.mock.behaviour import Behaviour, MockModel
from loadtest.mock.server import MockServer
from loadtest.mock.truth import ServedRequest, Truth

__all__ = ["Behaviour", "MockModel", "MockServer", "ServedRequest", "Truth"]
