"""Models that users create, and pulls."""
