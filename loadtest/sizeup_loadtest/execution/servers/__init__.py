"""What servers say of themselves: their models, and their metrics during a stage."""
