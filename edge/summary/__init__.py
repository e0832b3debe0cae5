"""The summary of one UTC day."""
