"""The gateway: app, commands, jobs, sync, providers and events."""
