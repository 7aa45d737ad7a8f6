"""Sends requests to replicas and returns their events."""
