"""What every sizeup process shares: logs, request ids, metric buckets, serving and draining."""
