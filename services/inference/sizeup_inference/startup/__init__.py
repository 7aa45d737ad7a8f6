"""Startup: from settings to a model that has generated a token."""
