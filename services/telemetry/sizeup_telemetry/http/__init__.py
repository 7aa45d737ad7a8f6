"""HTTP/1.1 connections: uvicorn's protocol with bounds for everything a client may send or omit."""
