"""What is measured, and the schema of the results."""
