"""The config file, its schema, and settings from the environment."""
