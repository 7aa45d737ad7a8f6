"""Runs a plan against a server."""
