"""One request -> one Record, over HTTP, whatever the server does."""
