"""Runs on disk and in logs."""
