"""One request to one replica, and its events back."""
