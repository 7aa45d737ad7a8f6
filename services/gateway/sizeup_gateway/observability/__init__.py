"""What is measured and logged of each request."""
