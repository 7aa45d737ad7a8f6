"""The model cache: downloads, verified weights, download progress."""
