"""Use cases, free of GraphQL: they take a viewer and plain values, and return rows."""
