"""A mock inference server: its behaviour is configured, and what it did is recorded."""

from loadtest.mock.behaviour import Behaviour, MockModel
from loadtest.mock.server import MockServer
from loadtest.mock.truth import ServedRequest, Truth

__all__ = ["Behaviour", "MockModel", "MockServer", "ServedRequest", "Truth"]
