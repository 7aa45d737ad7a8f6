"""The model cache on disk: which files are fit to load, and how far a download has come."""
