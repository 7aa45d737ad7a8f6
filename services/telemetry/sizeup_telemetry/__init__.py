"""Shared by all services: logs, request ids, metrics, API docs, serving and draining."""
