"""Webhooks: what happened in a sync, told to a URL of the configuration, signed, at least once."""
