"""One file an action: its input, its payload, and the call of the use case behind it."""
