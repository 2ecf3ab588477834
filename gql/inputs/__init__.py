"""The public input types: what callers write. Each turns itself into the plain value that its resolver takes."""
