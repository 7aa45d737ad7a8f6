"""A mock inference server with configured behaviour, which records its requests."""

from loadtest.mock.behaviour import Behaviour, MockModel
from loadtest.mock.server import MockServer
from loadtest.mock.truth import ServedRequest, Truth

__all__ = ["Behaviour", "MockModel", "MockServer", "ServedRequest", "Truth"]
