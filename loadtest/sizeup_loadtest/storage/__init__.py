"""Run folders, results files and Job logs."""
