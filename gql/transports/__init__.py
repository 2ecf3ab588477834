"""GraphQL over HTTP, server-sent events and WebSocket. What is common to them is a request, a key and an operation."""
