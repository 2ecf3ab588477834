"""What a run does: list, filter, compare, read, write, and tell about it."""
