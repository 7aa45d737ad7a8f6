"""The comparison of several models in one request, in both dialects."""
